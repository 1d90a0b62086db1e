//! Tokens of every version, and what they allow.

use std::net::IpAddr;

use kiln_domain::blob::container::StoredPolicy;
use kiln_domain::time::Timestamp;

use super::super::hmac::Key;
use super::{Asked, Scope, Terms, Token, account_sas, blob_sas, check, container_sas, text};

const KEY: &str = "a2V5";

fn query(text: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn asked<'a>() -> Asked<'a> {
    Asked {
        account: "acct",
        keys: &["b3RoZXI=", KEY],
        container: Some("c"),
        blob: Some("d/b c.txt"),
        scope: Scope::Object,
        account_letters: Some("r"),
        service_letters: Some("r"),
        is_tls: false,
        peer: Some(IpAddr::from([127, 0, 0, 1])),
        now: Timestamp::parse_iso("2030-06-01").expect("a time"),
    }
}

fn word(query_text: &str, asked: &Asked<'_>, policies: &[StoredPolicy]) -> String {
    let Some(token) = Token::from_query(&query(query_text)) else { return "no token".to_owned() };
    match check(&token, asked, policies) {
        Ok(granted) => granted.permissions,
        Err(refusal) => refusal.to_string(),
    }
}

/// The query with a signature over `text`.
fn with_signature(parameters: &str, text: &str) -> String {
    let signature = Key::from_base64(KEY).expect("base64").sign(text);
    let signature: String = form_urlencoded::byte_serialize(signature.as_bytes()).collect();
    format!("{parameters}&sig={signature}")
}

#[test]
fn signed_text_of_a_service_token_by_version() {
    let resource = "/acct/c/d/b c.txt";
    for (version, expected) in [
        ("", "r\nS\nE\n{}\nI"),
        ("2012-02-12", "r\nS\nE\n{}\nI\n2012-02-12"),
        ("2013-08-15", "r\nS\nE\n{}\nI\n2013-08-15\nCC\nCD\nCE\nCL\nCT"),
        ("2014-02-14", "r\nS\nE\n{}\nI\n2014-02-14\nCC\nCD\nCE\nCL\nCT"),
        ("2015-02-21", "r\nS\nE\n/blob{}\nI\n2015-02-21\nCC\nCD\nCE\nCL\nCT"),
        ("2015-04-05", "r\nS\nE\n/blob{}\nI\nIP\nP\n2015-04-05\nCC\nCD\nCE\nCL\nCT"),
        ("2015-07-08", "r\nS\nE\n/blob{}\nI\nIP\nP\n2015-07-08\nCC\nCD\nCE\nCL\nCT"),
        ("2018-03-28", "r\nS\nE\n/blob{}\nI\nIP\nP\n2018-03-28\nCC\nCD\nCE\nCL\nCT"),
        ("2018-11-09", "r\nS\nE\n/blob{}\nI\nIP\nP\n2018-11-09\nb\nSN\nCC\nCD\nCE\nCL\nCT"),
        ("2020-10-02", "r\nS\nE\n/blob{}\nI\nIP\nP\n2020-10-02\nb\nSN\nCC\nCD\nCE\nCL\nCT"),
        ("2020-12-06", "r\nS\nE\n/blob{}\nI\nIP\nP\n2020-12-06\nb\nSN\nES\nCC\nCD\nCE\nCL\nCT"),
        ("2026-10-06", "r\nS\nE\n/blob{}\nI\nIP\nP\n2026-10-06\nb\nSN\nES\nCC\nCD\nCE\nCL\nCT"),
    ] {
        let parameters = format!(
            "sv={version}&sr=b&sp=r&st=S&se=E&si=I&sip=IP&spr=P&ses=ES&rscc=CC&rscd=CD\
             &rsce=CE&rscl=CL&rsct=CT&snapshot=SN&sig=x"
        );
        let token = Token::from_query(&query(&parameters)).expect("a token");
        let text = text::of_service(&token, "acct", "c", Some("d/b c.txt"));
        assert_eq!(text, expected.replace("{}", resource), "sv={version}");
    }
}

#[test]
fn signed_text_of_an_account_token_by_version() {
    for (version, expected) in [
        ("2015-04-05", "acct\nr\nbf\nsco\nS\nE\nIP\nP\n2015-04-05\n"),
        ("2020-10-02", "acct\nr\nbf\nsco\nS\nE\nIP\nP\n2020-10-02\n"),
        ("2020-12-06", "acct\nr\nbf\nsco\nS\nE\nIP\nP\n2020-12-06\nES\n"),
        ("2026-10-06", "acct\nr\nbf\nsco\nS\nE\nIP\nP\n2026-10-06\nES\n"),
    ] {
        let parameters =
            format!("sv={version}&ss=bf&srt=sco&sp=r&st=S&se=E&sip=IP&spr=P&ses=ES&sig=x");
        let token = Token::from_query(&query(&parameters)).expect("a token");
        assert_eq!(text::of_account(&token, "acct"), expected, "sv={version}");
    }
}

#[test]
fn made_tokens_are_taken() {
    let terms = Terms { permissions: "rw", expiry: "2031-01-01T00:00:00Z", ..Terms::default() };
    let blob = blob_sas("acct", KEY, "c", "d/b c.txt", terms).expect("made");
    let container = container_sas("acct", KEY, "c", terms).expect("made");
    let account = account_sas("acct", KEY, "co", terms).expect("made");
    for token in [&blob, &container, &account] {
        assert_eq!(word(token, &asked(), &[]), "rw", "{token}");
    }
    let other = Asked { blob: Some("other"), ..asked() };
    assert_eq!(word(&blob, &other, &[]), "the signature does not belong to the text");
    assert_eq!(word(&container, &other, &[]), "rw");
    let elsewhere = Asked { container: Some("d"), ..asked() };
    assert_eq!(word(&container, &elsewhere, &[]), "the signature does not belong to the text");
    assert_eq!(word(&account, &elsewhere, &[]), "rw");
    let list = Asked {
        scope: Scope::Container,
        service_letters: Some("l"),
        account_letters: Some("l"),
        blob: None,
        ..asked()
    };
    assert_eq!(word(&container, &list, &[]), "the signature does not allow this operation");
    assert_eq!(word(&blob, &list, &[]), "the signature is for other kinds of resources");
    let service = Asked { scope: Scope::Service, container: None, blob: None, ..asked() };
    assert_eq!(word(&account, &service, &[]), "the signature is for other kinds of resources");
}

#[test]
fn a_plus_that_was_not_escaped_still_counts() {
    for n in 0..64 {
        let text = format!("r\n\n2031-01-0{}\n/blob/acct/c\n\n\n\n2015-07-08\n\n\n\n\n", n % 9 + 1);
        let signature = Key::from_base64(KEY).expect("base64").sign(&text);
        let token = format!("sv=2015-07-08&sr=c&sp=r&se=2031-01-0{}&sig={signature}", n % 9 + 1);
        assert_eq!(word(&token, &asked(), &[]), "r", "{signature}");
    }
}

#[test]
fn time_place_and_protocol() {
    let check = |extra: &str, expected: &str| {
        let text = |name: &str| {
            let pairs = query(extra);
            pairs.iter().find(|(key, _)| key == name).map_or(String::new(), |(_, v)| v.clone())
        };
        let (st, se, sip, spr) = (text("st"), text("se"), text("sip"), text("spr"));
        let signed = format!("r\n{st}\n{se}\n/blob/acct/c\n\n{sip}\n{spr}\n2015-07-08\n\n\n\n\n");
        let token = with_signature(&format!("sv=2015-07-08&sr=c&sp=r&{extra}"), &signed);
        assert_eq!(word(&token, &asked(), &[]), expected, "{extra}");
    };
    check("se=2031-01-01", "r");
    check("se=2030-06-01T00:00Z", "r");
    check(
        "se=2030-05-31T23:59:59.9999999Z",
        "signature not valid after 2030-05-31T23:59:59.9999999Z",
    );
    check("se=2031-01-01&st=2030-06-01T00:00:00Z", "r");
    check("se=2031-01-01&st=2030-06-02", "signature not valid before 2030-06-02");
    check("", "signature field `se` is missing or not well formed");
    check("se=soon", "signature field `se` is missing or not well formed");
    check("se=2031-01-01&spr=https", "the signature is for https only");
    check("se=2031-01-01&spr=https,http", "r");
    check("se=2031-01-01&sip=127.0.0.1", "r");
    check("se=2031-01-01&sip=127.0.0.0-127.0.0.9", "r");
    check("se=2031-01-01&sip=10.1.2.3", "the signature is not for this address");
    check("se=2031-01-01&sip=here", "signature field `sip` is missing or not well formed");
}

#[test]
fn stored_policies_give_what_the_token_leaves_out() {
    let policy = |expiry: Option<&str>, permission: Option<&str>| StoredPolicy {
        id: "p".to_owned(),
        start: None,
        expiry: expiry.map(str::to_owned),
        permission: permission.map(str::to_owned),
    };
    let check = |fields: [&str; 2], policies: &[StoredPolicy], expected: &str| {
        let [sp, se] = fields;
        let signed = format!("{sp}\n\n{se}\n/blob/acct/c\np\n\n\n2015-07-08\n\n\n\n\n");
        let token = with_signature(&format!("sv=2015-07-08&sr=c&si=p&sp={sp}&se={se}"), &signed);
        assert_eq!(word(&token, &asked(), policies), expected, "{fields:?}");
    };
    let whole = policy(Some("2031-01-01"), Some("rw"));
    check(["", ""], std::slice::from_ref(&whole), "rw");
    check(["r", ""], &[policy(Some("2031-01-01"), None)], "r");
    check(["", "2031-01-01"], &[policy(None, Some("r"))], "r");
    check(["r", ""], &[whole], "signature field `sp` is missing or not well formed");
    check(
        ["", "2031-01-01"],
        &[policy(None, None)],
        "signature field `sp` is missing or not well formed",
    );
    check(["", ""], &[], "stored access policy `p` does not exist");
}
