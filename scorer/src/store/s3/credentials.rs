//! Credentials in the environment: from Secrets, whose values often end in a line break.

use std::path::PathBuf;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::Credentials;

use super::credentials_file::CredentialsFile;
use crate::store::StoreError;

const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";

/// Where the settings say that credentials are: in a file, or else in environment variables. None when they do not say: then
/// they are found as the AWS tools find them.
///
/// # Errors
/// Names a variable whose value cannot be used, never the value.
pub fn provider(file: Option<&PathBuf>) -> Result<Option<SharedCredentialsProvider>, StoreError> {
    if let Some(file) = file {
        return Ok(Some(SharedCredentialsProvider::new(CredentialsFile(file.clone()))));
    }
    Ok(in_environment()?.map(SharedCredentialsProvider::new))
}

/// The credentials that environment variables hold; None without both keys. Then others are looked for.
///
/// # Errors
/// Names a variable whose value cannot be used, never the value.
fn in_environment() -> Result<Option<Credentials>, StoreError> {
    of_variables(|name| std::env::var_os(name).map(|value| value.into_string().unwrap_or("\0".into())))
}

fn of_variables(value: impl Fn(&str) -> Option<String>) -> Result<Option<Credentials>, StoreError> {
    let usable = |name: &str| value(name).map(|value| usable(name, &value)).transpose();
    let (access, secret, token) = (usable(ACCESS_KEY)?, usable(SECRET_KEY)?, usable(SESSION_TOKEN)?);
    let (Some(access), Some(secret)) = (access, secret) else { return Ok(None) };
    Ok(Some(Credentials::new(access, secret, token, None, "environment")))
}

fn usable(name: &str, value: &str) -> Result<String, StoreError> {
    let refuse = |what: &str| {
        let why = format!("the environment variable {name} {what}; check the Secret that it comes from");
        Err(StoreError::InvalidSettings { why })
    };
    match value.trim() {
        "" => refuse("is empty"),
        value if value.chars().any(|letter| letter.is_control() || !letter.is_ascii()) => {
            refuse("holds characters that no key has, such as a line break within it")
        }
        value => Ok(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<Credentials>, StoreError> {
        of_variables(|name| Some(variables.iter().find(|(known, _)| *known == name)?.1.to_owned()))
    }

    #[test]
    fn white_space_around_a_value_is_left_out() {
        let found = of(&[(ACCESS_KEY, " key\n"), (SECRET_KEY, "secret\r\n"), (SESSION_TOKEN, "\ttoken ")]);
        let found = found.unwrap().unwrap();
        assert_eq!((found.access_key_id(), found.secret_access_key()), ("key", "secret"));
        assert_eq!(found.session_token(), Some("token"));
        assert!(of(&[]).unwrap().is_none() && of(&[(ACCESS_KEY, "key")]).unwrap().is_none());
        assert_eq!(of(&[(ACCESS_KEY, "a"), (SECRET_KEY, "b")]).unwrap().unwrap().session_token(), None);
    }

    #[test]
    fn what_no_key_can_be_is_refused_by_name_and_never_shown() {
        for name in [ACCESS_KEY, SECRET_KEY, SESSION_TOKEN] {
            for value in ["", " \n", "hush\nhush", "hush\u{7f}hush", "hush\0", "hüsh"] {
                let mut variables = vec![(ACCESS_KEY, "a"), (SECRET_KEY, "b"), (SESSION_TOKEN, "c")];
                variables
                    .iter_mut()
                    .filter(|variable| variable.0 == name)
                    .for_each(|variable| variable.1 = value);
                let refused = of(&variables).unwrap_err();
                assert!(matches!(refused, StoreError::InvalidSettings { .. }), "{refused}");
                let message = refused.to_string();
                assert!(message.contains(name) && !message.contains("hush"), "{message}");
            }
        }
    }
}
