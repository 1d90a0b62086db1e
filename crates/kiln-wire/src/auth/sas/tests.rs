//! Tokens of every version, and what they allow.

use std::net::IpAddr;

use kiln_domain::blob::container::StoredPolicy;
use kiln_domain::time::Timestamp;

use super::super::bearer::Principal;
use super::super::delegation::{KeyRequest, issue};
use super::super::hmac::Key;
use super::super::role::Role;
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
        delegation_secret: "",
        bearer: None,
        headers: &[],
        query: &[],
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
        ("2018-11-09", "r\nS\nE\n/blob{}\nI\nIP\nP\n2018-11-09\nbs\nSN\nCC\nCD\nCE\nCL\nCT"),
        ("2020-10-02", "r\nS\nE\n/blob{}\nI\nIP\nP\n2020-10-02\nbs\nSN\nCC\nCD\nCE\nCL\nCT"),
        ("2020-12-06", "r\nS\nE\n/blob{}\nI\nIP\nP\n2020-12-06\nbs\nSN\nES\nCC\nCD\nCE\nCL\nCT"),
        ("2026-10-06", "r\nS\nE\n/blob{}\nI\nIP\nP\n2026-10-06\nbs\nSN\nES\nCC\nCD\nCE\nCL\nCT"),
    ] {
        let parameters = format!(
            "sv={version}&sr=bs&sp=r&st=S&se=E&si=I&sip=IP&spr=P&ses=ES&rscc=CC&rscd=CD\
             &rsce=CE&rscl=CL&rsct=CT&snapshot=SN&sig=x"
        );
        let token = Token::from_query(&query(&parameters)).expect("a token");
        let text = text::of_service(&token, "acct", "c/d/b c.txt");
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
    check("se=2031-01-01&sip=10.0.0.0-::1", "signature field `sip` is missing or not well formed");
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

#[test]
fn addresses_of_both_kinds() {
    for (range, peer, expected) in [
        ("2001:db8::1", "2001:db8::1", "r"),
        ("2001:db8::1-2001:db8::ff", "2001:db8::a0", "r"),
        ("2001:db8::1-2001:db8::ff", "2001:db8::1:0", "the signature is not for this address"),
        ("10.0.0.0-10.0.0.9", "::ffff:10.0.0.5", "r"),
        ("10.0.0.0-10.0.0.9", "2001:db8::1", "the signature is not for this address"),
    ] {
        let signed = format!("r\n\n2031-01-01\n/blob/acct/c\n\n{range}\n\n2015-07-08\n\n\n\n\n");
        let parameters = format!("sv=2015-07-08&sr=c&sp=r&se=2031-01-01&sip={range}");
        let token = with_signature(&parameters, &signed);
        let peer = peer.parse::<IpAddr>().expect("an address");
        assert_eq!(word(&token, &Asked { peer: Some(peer), ..asked() }, &[]), expected, "{range}");
    }
}

#[test]
fn tokens_of_the_time_before_versions() {
    let check = |st: &str, se: &str, si: &str, expected: &str| {
        let signed = format!("r\n{st}\n{se}\n/acct/c\n{si}");
        let token = with_signature(&format!("sr=c&sp=r&st={st}&se={se}&si={si}"), &signed);
        let policy = StoredPolicy { id: "p".to_owned(), ..StoredPolicy::default() };
        assert_eq!(word(&token, &asked(), &[policy]), expected, "{st} {se}");
    };
    let malformed = "signature field `se` is missing or not well formed";
    check("", "2030-06-01T01:00:00Z", "", "r");
    check("", "2030-06-01T01:00:01Z", "", malformed);
    check("2030-05-31T23:30:00Z", "2030-06-01T00:30:00Z", "", "r");
    check("2030-05-31T23:30:00Z", "2030-06-01T00:31:00Z", "", malformed);
    check("", "2031-01-01T00:00:00Z", "p", "r");
}

#[test]
fn a_token_for_a_snapshot_is_for_that_one() {
    let text = "r\n\n2031-01-01\n/blob/acct/c/d/b c.txt\n\n\n\n2021-12-02\nbs\nSN\n\n\n\n\n\n";
    let token = with_signature("sv=2021-12-02&sr=bs&sp=r&se=2031-01-01", text);
    assert_eq!(word(&format!("{token}&snapshot=SN"), &asked(), &[]), "r");
    let wrong = "the signature does not belong to the text";
    assert_eq!(word(&format!("{token}&snapshot=OTHER"), &asked(), &[]), wrong);
    assert_eq!(word(&token, &asked(), &[]), wrong);
}

#[test]
fn a_token_for_a_directory_opens_what_is_below() {
    let text = "r\n\n2031-01-01\n/blob/acct/c/a/b\n\n\n\n2020-02-10\nd\n\n\n\n\n\n";
    let token = with_signature("sv=2020-02-10&sr=d&sdd=2&sp=r&se=2031-01-01", text);
    for (blob, expected) in [
        ("a/b/c", "r"),
        ("a/b", "r"),
        ("a/c/b", "the signature does not belong to the text"),
        ("a", "the signature is for other kinds of resources"),
    ] {
        assert_eq!(word(&token, &Asked { blob: Some(blob), ..asked() }, &[]), expected, "{blob}");
    }
}

#[test]
fn only_signed_response_headers_count() {
    let headers = |parameters: &str| {
        let token = Token::from_query(&query(parameters)).expect("a token");
        token.response_headers().count()
    };
    assert_eq!(headers("sv=2021-12-02&sr=b&rscd=a&rsct=b&sig=x"), 2);
    assert_eq!(headers("sv=2012-02-12&sr=b&rscd=a&sig=x"), 0);
    assert_eq!(headers("sv=2021-12-02&ss=b&srt=o&rscd=a&sig=x"), 0);
}

/// The terms of a key that `role` got, as a query, and its value.
fn delegated(role: Role, user_tid: &str) -> (String, Vec<String>, String) {
    let who = Principal { oid: "O".to_owned(), tid: "T".to_owned(), roles: Vec::new() };
    let asked = KeyRequest {
        start: "2030-05-31T12:00:00Z".to_owned(),
        expiry: "2030-06-02T00:00:00Z".to_owned(),
        user_tid: user_tid.to_owned(),
    };
    let now = Timestamp::parse_iso("2030-06-01").expect("a time");
    let key = issue("server secret", &who, role, &asked, "2026-10-06", now).expect("a key");
    let it = key.terms;
    let query = format!(
        "skoid={}&sktid={}&skt={}&ske={}&sks={}&skv={}&skdutid={}",
        it.oid, it.tid, it.start, it.expiry, it.service, it.version, it.user_tid
    );
    let lines = [it.oid, it.tid, it.start, it.expiry, it.service, it.version];
    (query, lines.to_vec(), key.value)
}

fn signed_with(value: &str, parameters: &str, text: &str) -> String {
    let signature = Key::from_base64(value).expect("base64").sign(text);
    let signature: String = form_urlencoded::byte_serialize(signature.as_bytes()).collect();
    format!("{parameters}&sig={signature}")
}

#[test]
fn user_delegation_by_version() {
    let (key_query, key_lines, value) = delegated(Role::Owner, "");
    let key_lines = key_lines.join("\n");
    let asked = || Asked { delegation_secret: "server secret", ..asked() };
    for (version, behind) in [
        ("2018-11-09", "\n\n2018-11-09\nc\n\n\n\n\n\n"),
        ("2019-12-12", "\n\n2019-12-12\nc\n\n\n\n\n\n"),
        ("2020-02-10", "SA\nSU\nSC\n\n\n2020-02-10\nc\n\n\n\n\n\n"),
        ("2020-10-02", "SA\nSU\nSC\n\n\n2020-10-02\nc\n\n\n\n\n\n"),
        ("2020-12-06", "SA\nSU\nSC\n\n\n2020-12-06\nc\n\n\n\n\n\n\n"),
        ("2025-05-05", "SA\nSU\nSC\n\n\n2025-05-05\nc\n\n\n\n\n\n\n"),
        ("2025-07-05", "SA\nSU\nSC\n\n\n\n\n2025-07-05\nc\n\n\n\n\n\n\n"),
        ("2026-02-06", "SA\nSU\nSC\n\n\n\n\n2026-02-06\nc\n\n\n\n\n\n\n"),
        ("2026-04-06", "SA\nSU\nSC\n\n\n\n\n2026-04-06\nc\n\n\n\n\n\n\n\n\n"),
    ] {
        let text = format!("rw\n\n2031-01-01\n/blob/acct/c\n{key_lines}\n{behind}");
        let parameters =
            format!("sv={version}&sr=c&sp=rw&se=2031-01-01&saoid=SA&suoid=SU&scid=SC&{key_query}");
        let token = signed_with(&value, &parameters, &text);
        assert_eq!(word(&token, &asked(), &[]), "rw", "{version}");
        let wrong = "the signature does not belong to the text";
        let other = Asked { delegation_secret: "other secret", ..asked() };
        assert_eq!(word(&token, &other, &[]), wrong, "{version}");
        let none = Asked { delegation_secret: "", ..asked() };
        assert_eq!(word(&token, &none, &[]), wrong, "{version}");
        let late = Timestamp::parse_iso("2030-06-02T00:00:01Z").expect("a time");
        let told = word(&token, &Asked { now: late, ..asked() }, &[]);
        assert!(told.starts_with("the user delegation key is good from"), "{told}");
        let stretched = token.replace("ske=2030-06-02", "ske=2030-06-09");
        assert_eq!(word(&stretched, &asked(), &[]), wrong, "{version}");
    }
}

#[test]
fn of_a_delegated_token_count_the_rights_of_its_giver() {
    for (role, expected) in [(Role::Owner, "rwt"), (Role::Contributor, "rw"), (Role::Reader, "r")] {
        let (key_query, key_lines, value) = delegated(role, "");
        let text = format!(
            "rwt\n\n2031-01-01\n/blob/acct/c\n{}\n\n\n2018-11-09\nc\n\n\n\n\n\n",
            key_lines.join("\n")
        );
        let parameters = format!("sv=2018-11-09&sr=c&sp=rwt&se=2031-01-01&{key_query}");
        let token = signed_with(&value, &parameters, &text);
        let asked = Asked { delegation_secret: "server secret", ..asked() };
        assert_eq!(word(&token, &asked, &[]), expected);
    }
}

#[test]
fn headers_parameters_and_a_user_may_be_required() {
    let (key_query, key_lines, value) = delegated(Role::Owner, "UT");
    let text = format!(
        "r\n\n2031-01-01\n/blob/acct/c\n{}\n\n\n\nUT\nUO\n\n\n2026-04-06\nc\n\n\n\
         x-ms-a:1\nx-ms-b:2\n\n\nkey:v\n\n\n\n\n",
        key_lines.join("\n")
    );
    let parameters = format!(
        "sv=2026-04-06&sr=c&sp=r&se=2031-01-01&srh=x-ms-a,x-ms-b&srq=key&sduoid=UO&{key_query}"
    );
    let token = signed_with(&value, &parameters, &text);
    let pairs = |text: &str| query(text);
    let (headers, parameters) = (pairs("x-ms-b=2&x-ms-a=1"), pairs("key=v"));
    let other_headers = pairs("x-ms-b=2&x-ms-a=3");
    let user = |oid: &str, tid: &str| Principal {
        oid: oid.to_owned(),
        tid: tid.to_owned(),
        roles: Vec::new(),
    };
    let (user, stranger, cousin) = (user("UO", "UT"), user("XX", "UT"), user("UO", "XX"));
    let asked = Asked {
        delegation_secret: "server secret",
        bearer: Some(&user),
        headers: &headers,
        query: &parameters,
        ..asked()
    };
    assert_eq!(word(&token, &asked, &[]), "r");
    let wrong = "the signature does not belong to the text";
    assert_eq!(word(&token, &Asked { headers: &other_headers, ..asked }, &[]), wrong);
    assert_eq!(word(&token, &Asked { query: &[], ..asked }, &[]), wrong);
    for bearer in [None, Some(&stranger), Some(&cousin)] {
        let told = word(&token, &Asked { bearer, ..asked }, &[]);
        let needed = "the signature is for the user `UO`, whose bearer token must come with it";
        assert_eq!(told, needed, "{bearer:?}");
    }
}
