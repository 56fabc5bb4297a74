//! Recognises settings that are secrets, and removes them from the rows.

use wikigrove_tenant::Secret;

/// Parts of the names of secret settings.
const TELLING: [&str; 8] =
    ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "PRIVATEKEY", "APIKEY", "TOKEN", "CREDENTIAL"];

/// Takes a secret out of a row. The row keeps an empty value, or a URL without its password.
pub(super) fn take(name: &str, value: &mut Option<String>) -> Option<Secret> {
    let text = value.as_deref().filter(|text| !text.trim().is_empty())?;
    let remains = if is_telling(name) || text.contains("PRIVATE KEY-----") {
        String::new()
    } else {
        without_password(text)?
    };
    value.replace(remains).map(Secret::new)
}

fn is_telling(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_uppercase();
    // A password's length and a key's path aren't secret.
    let is_about = plain == "PASSWORDMINLENGTH" || plain.ends_with("FILE");
    !is_about && TELLING.iter().any(|part| plain.contains(part))
}

/// Returns `https://host/…` for `https://user:password@host/…`; `None` if there is no password in it.
fn without_password(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (user, _) = rest[..end].rsplit_once('@')?;
    // With ssh a user name alone is no secret; with http it may be a token.
    let is_secret =
        user.contains(':') || scheme.trim_start().to_ascii_lowercase().starts_with("http");
    is_secret.then(|| format!("{scheme}://{}", &rest[user.len() + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(name: &str, text: &str) -> (Option<String>, String) {
        let mut value = Some(text.to_owned());
        let secret = take(name, &mut value);
        (secret.map(|secret| secret.expose().to_owned()), value.unwrap())
    }

    #[test]
    fn secrets_leave_an_empty_row() {
        for name in
            ["MAIL_PASSWORD", "SECRET_KEY", "git_remote_push_private_key", "MY-API-KEY", "X_TOKEN"]
        {
            assert_eq!(taken(name, "canary"), (Some("canary".into()), String::new()), "{name}");
        }
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc";
        assert_eq!(taken("SITE_LOGO", key), (Some(key.into()), String::new()));
    }

    #[test]
    fn addresses_lose_their_passwords_only() {
        let url = "https://ann:canary@git.example.org/a.git?x=@";
        assert_eq!(
            taken("GIT_REMOTE_PUSH_URL", url),
            (Some(url.into()), "https://git.example.org/a.git?x=@".into())
        );
        assert_eq!(taken("A", "https://canary@host").1, "https://host");
        for plain in ["ssh://git@host/a", "git@host:a", "https://host/@a", "text"] {
            assert_eq!(taken("GIT_REMOTE_PUSH_URL", plain), (None, plain.into()));
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for (name, value) in [
            ("PASSWORD_MIN_LENGTH", "8"),
            ("SITE_NAME", "x"),
            ("KEY_FILE", "/a"),
            ("SECRET_KEY", ""),
        ] {
            assert_eq!(taken(name, value), (None, value.into()), "{name}");
        }
        assert!(take("SECRET_KEY", &mut None).is_none());
    }
}
