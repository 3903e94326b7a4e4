//! What a form or an address says: names and values, each name as often as it likes.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use data_encoding::BASE64;
use ticrypt_crypto::bundle::Fingerprint;

use crate::trouble::{Result, Trouble};

/// `application/x-www-form-urlencoded`, from a query or a body.
#[derive(Debug, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    pub fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn each<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A value that must be there.
    pub fn need(&self, name: &str) -> Result<&str> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| Trouble::invalid(format!("`{name}` is missing; fill it in")))
    }

    /// A value that must be there and be of its kind.
    pub fn parsed<T: std::str::FromStr>(&self, name: &str, what: &str) -> Result<T> {
        self.need(name)?.trim().parse().map_err(|_| Trouble::invalid(format!("this is not {what}; check it")))
    }

    /// A fingerprint as people write it: white space does not matter.
    pub fn fingerprint(&self, name: &str) -> Result<Fingerprint> {
        let text: String = self.need(name)?.split_whitespace().collect();
        text.parse().map_err(|_| Trouble::invalid("this is not a fingerprint; it has 16 groups of four hexadecimal digits"))
    }

    /// A file that the page sent in base64, because it is no text.
    pub fn binary(&self, name: &str) -> Result<Vec<u8>> {
        BASE64.decode(self.need(name)?.as_bytes()).map_err(|_| Trouble::invalid("the file cannot be read; choose it again"))
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !value.is_empty())
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        // A passphrase may be among them.
        zeroize::Zeroize::zeroize(&mut self.0.iter_mut().map(|(_, value)| std::mem::take(value)).collect::<Vec<_>>());
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Trouble;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        if !crate::door::is_change(request.method()) {
            return Ok(Self::parse(request.uri().query().unwrap_or_default().as_bytes()));
        }
        let body = Bytes::from_request(request, state).await;
        Ok(Self::parse(&body.map_err(|_| Trouble::invalid("the form is too large or was cut off; try again"))?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_come_as_often_as_they_like() {
        let fields = Fields::parse(b"key=a%2Fb&key=c+d&empty=&n=7");
        assert_eq!(fields.each("key").collect::<Vec<_>>(), ["a/b", "c d"]);
        assert_eq!((fields.get("empty"), fields.is_set("empty"), fields.get("none")), (Some(""), false, None));
        assert_eq!(fields.parsed::<u8>("n", "a number").unwrap(), 7);
        assert!(fields.parsed::<u8>("key", "a number").unwrap_err().message().contains("a number"));
        assert!(fields.need("empty").is_err());
    }
}
