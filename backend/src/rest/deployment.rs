//! What the server says of itself to anyone.

use bytes::Bytes;
use ticrypt_api::ApiError;
use ticrypt_api::deployment::DeploymentFile;

use super::Rest;
use super::call::{Answer, Call};

impl Rest {
    /// The deployment file without its registration token, which only those have who were given the file. A client compares, it
    /// never trusts what it reads here.
    pub(super) fn read_deployment(&self, call: &Call) -> Result<Answer, ApiError> {
        Answer::of(call, &DeploymentFile { registration_token: None, ..self.deployment.clone() })
    }

    pub(super) fn describe_api(&self, call: &Call) -> Result<Answer, ApiError> {
        Ok(Answer::raw(Bytes::clone(&self.openapi).into(), call.endpoint.codec.media_type()))
    }
}
