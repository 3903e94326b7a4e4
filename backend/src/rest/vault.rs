//! The vault's endpoints: decode, hand to the file role, encode. The file role decides and acts.

use ticrypt_api::ApiError;
use ticrypt_api::grant::GrantLeaveRequest;
use ticrypt_types::Operation;

use super::Rest;
use super::call::{Answer, Call, encode};

impl Rest {
    pub(super) async fn vault(&self, call: &Call) -> Result<Answer, ApiError> {
        let vault = &self.vault;
        let caller = &call.caller()?;
        // One line for each verb: what is read from the request, and who is asked.
        macro_rules! ask {
            ($method:ident $(, $argument:expr)*) => {
                Answer::of_reply(call, &vault.$method(caller $(, $argument)*).await?)
            };
        }
        match call.operation() {
            Operation::HomeCreate => ask!(create_home, call.body()?),
            Operation::VaultRoots => ask!(roots),
            Operation::NodeList => ask!(list, call.body()?),
            Operation::NodeStat => ask!(stat, call.body()?),
            Operation::NodeCreate => ask!(create, call.body()?),
            Operation::NodeRename => ask!(rename, call.body()?),
            Operation::NodeMove => ask!(move_node, call.body()?),
            Operation::NodeTrash => ask!(trash, call.body()?),
            Operation::NodeRestore => ask!(restore, call.body()?),
            Operation::NodeDelete => ask!(delete, call.body()?),
            Operation::NodeRekey => ask!(rekey, call.body()?),
            Operation::NodeTag => ask!(tag, call.body()?),
            Operation::NodeHistory => ask!(history, call.parameter(0)?, call.query()?),
            Operation::TrashList => ask!(trash_list, call.query()?),

            Operation::UploadBegin => ask!(begin_uploads, call.body()?),
            Operation::UploadStatus => ask!(upload_status, call.parameter(0)?),
            Operation::UploadAbandon => ask!(abandon_upload, call.parameter(0)?),
            Operation::VersionPublish => ask!(publish, call.body()?),
            Operation::VersionList => ask!(versions, call.body()?),
            Operation::ContentOpen => {
                let mark = self.losses.mark();
                let reply = vault.open(caller, call.body()?).await?;
                let body = self.leased(call, encode(call, &reply.body)?, mark)?;
                Ok(Answer { opened: reply.opened, ..Answer::raw(body, call.endpoint.codec.media_type()) })
            }

            Operation::GrantCreate => ask!(create_grants, call.body()?),
            Operation::GrantRevoke => ask!(revoke_grant, call.parameter(0)?, call.body()?),
            Operation::GrantLeave => {
                let GrantLeaveRequest {} = call.body()?;
                ask!(leave_grant, call.parameter(0)?)
            }
            Operation::GrantList => ask!(grants, call.body()?),

            Operation::AccessExplain => ask!(explain, call.body()?),
            Operation::AccessLosses => ask!(access_losses, call.body()?),
            Operation::GroupList => ask!(groups),
            Operation::GroupRead => ask!(group, call.parameter(0)?, call.query()?),
            Operation::GroupCreate => ask!(create_group, call.body()?),
            Operation::GroupChange => ask!(change_group, call.parameter(0)?, call.body()?),
            Operation::GroupSeal => ask!(seal_group, call.parameter(0)?, call.body()?),
            Operation::CompartmentRead => ask!(compartment, call.parameter(0)?, call.body()?),
            Operation::CompartmentRenew => ask!(renew_compartment, call.parameter(0)?, call.body()?),
            Operation::CompartmentSeal => ask!(seal_compartment, call.parameter(0)?, call.body()?),
            Operation::GroupRename => ask!(rename_group, call.parameter(0)?, call.body()?),
            Operation::GroupDelete => ask!(delete_group, call.parameter(0)?),
            _ => Err(ApiError::broken()),
        }
    }
}
