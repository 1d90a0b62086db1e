//! Bearer tokens, and signatures with the keys that they get.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_http::{Handler, Listener, Response, ResponseBody};
use kiln_wire::auth::role::Role;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Got, World, run};
use crate::config::{TokenConfig, TokenKeys};

const SECRET: &[u8] = b"a secret of the issuer";
const VERSION: &str = "x-ms-version: 2021-12-02";

/// A world that trusts an issuer: `owner`, `writer` and `reader` have roles, others have none.
async fn world() -> World {
    let world = World::new().await;
    let file = world.directory.join("issuer-secret");
    std::fs::write(&file, SECRET).expect("a file");
    trusting(world, TokenKeys::SecretFile(file)).await
}

async fn trusting(mut world: World, keys: TokenKeys) -> World {
    let roles = [
        ("owner".to_owned(), Role::Owner),
        ("writer".to_owned(), Role::Contributor),
        ("Readers".to_owned(), Role::Reader),
    ];
    let config = TokenConfig {
        issuers: vec!["https://issuer.example/".to_owned()],
        audiences: Vec::new(),
        keys,
        authority: "https://login.example/tenant".to_owned(),
        roles: roles.into(),
        default_role: None,
        allows_http: false,
    };
    world.service = world.service.clone().with_tokens(Some(config));
    world.is_tls = true;
    world.container("con").await;
    world.put("/con/b", "content").await;
    world
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
    ring::hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn token_of(secret: &[u8], claims: &str) -> String {
    headed(r#"{"alg":"HS256","typ":"JWT"}"#, secret, claims)
}

fn headed(header: &str, secret: &[u8], claims: &str) -> String {
    let said = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    format!("{said}.{}", URL_SAFE_NO_PAD.encode(mac(secret, &said)))
}

fn token(oid: &str) -> String {
    let claims = format!(
        r#"{{"iss":"https://issuer.example/","aud":"https://storage.azure.com/","exp":4070908800,
            "oid":"{oid}","tid":"tenant","roles":["Readers-{oid}"]}}"#
    );
    token_of(SECRET, &claims.replace("Readers-reader", "Readers"))
}

async fn send(world: &World, head: &str, who: &str, body: &str) -> Got {
    let head = format!("{head}\n{VERSION}\nAuthorization: Bearer {}", token(who));
    world.send_unsigned(&head, body.to_owned()).await
}

#[test]
fn roles_allow_what_they_say() {
    run(async {
        let world = world().await;
        let (get, list) = ("GET /con/b", "GET /con?restype=container&comp=list");
        let put = "PUT /con/b\nx-ms-blob-type: BlockBlob";
        let acl = "GET /con?restype=container&comp=acl";
        let no = "403 AuthorizationPermissionMismatch";
        for (who, outcomes) in [
            ("owner", ["200", "200", "201", "200"]),
            ("writer", ["200", "200", "201", no]),
            ("reader", ["200", "200", no, no]),
            ("stranger", [no, no, no, no]),
        ] {
            for (head, outcome) in [get, list, put, acl].iter().zip(outcomes) {
                assert_eq!(send(&world, head, who, "").await.outcome(), outcome, "{who} {head}");
            }
        }
    });
}

#[test]
fn who_comes_with_a_bad_token_is_told_where_to_get_one() {
    run(async {
        let mut world = world().await;
        let challenge = "Bearer authorization_uri=https://login.example/tenant/oauth2/authorize \
                         resource_id=https://storage.azure.com";
        let expired = r#"{"iss":"https://issuer.example/","aud":"https://storage.azure.com",
                          "exp":1000000000,"oid":"owner"}"#;
        let usual = expired.replace("1000000000", "4070908800");
        for token in [
            "nonsense".to_owned(),
            token_of(SECRET, expired),
            token_of(b"another secret", &usual),
            token_of(SECRET, &usual.replace("issuer.example", "other.example")),
            token_of(SECRET, &usual.replace("storage.azure", "vault.azure")),
        ] {
            let head = format!("GET /con/b\n{VERSION}\nAuthorization: Bearer {token}");
            let got = world.send_unsigned(&head, "").await;
            assert_eq!(got.outcome(), "401 InvalidAuthenticationInfo", "{token}");
            assert_eq!(got.header("WWW-Authenticate"), challenge);
        }
        let got = world.send_unsigned(&format!("GET /con/b\n{VERSION}"), "").await;
        assert_eq!(got.outcome(), "401 NoAuthenticationInformation");
        assert_eq!(got.header("WWW-Authenticate"), challenge);
        let old = format!(
            "GET /con/b\nx-ms-version: 2017-07-29\nAuthorization: Bearer {}",
            token("owner")
        );
        assert_eq!(world.send_unsigned(&old, "").await.outcome(), "403 AuthenticationFailed");
        world.is_tls = false;
        assert_eq!(
            send(&world, "GET /con/b", "owner", "").await.outcome(),
            "403 AuthenticationFailed"
        );
        let untrusting = World::new().await;
        let got = send(&untrusting, "GET /con/b", "owner", "").await;
        assert_eq!(got.outcome(), "401 InvalidAuthenticationInfo");
    });
}

/// The text of an element.
fn element<'a>(text: &'a str, name: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("<{name}>")).expect(name);
    rest.split_once("</").expect("its end").0
}

/// A query that lets do `permissions` in `con`, signed with the key in `got`.
fn delegated(got: &Got, permissions: &str) -> String {
    let text = got.text();
    let [oid, tid, start, expiry, service, version, value] = [
        "SignedOid",
        "SignedTid",
        "SignedStart",
        "SignedExpiry",
        "SignedService",
        "SignedVersion",
        "Value",
    ]
    .map(|name| element(text, name));
    let signed = format!(
        "{permissions}\n\n2099-01-01\n/blob/devstoreaccount1/con\n{oid}\n{tid}\n{start}\n{expiry}\n\
         {service}\n{version}\n\n\n\n\n\n2021-12-02\nc\n\n\n\n\n\n\n"
    );
    let signature = STANDARD.encode(mac(&STANDARD.decode(value).expect("base64"), &signed));
    let signature: String = form_urlencoded::byte_serialize(signature.as_bytes()).collect();
    format!(
        "sv=2021-12-02&sr=c&sp={permissions}&se=2099-01-01&skoid={oid}&sktid={tid}&skt={start}\
         &ske={expiry}&sks={service}&skv={version}&sig={signature}"
    )
}

#[test]
fn keys_of_users_open_what_their_users_may() {
    run(async {
        let world = world().await;
        let ask = "POST /?restype=service&comp=userdelegationkey";
        let expiry = crate::clock::now().plus(Span::days(1)).to_iso();
        let body = format!("<KeyInfo><Expiry>{expiry}</Expiry></KeyInfo>");
        for (who, put_outcome) in
            [("writer", "201"), ("reader", "403 AuthorizationPermissionMismatch")]
        {
            let got = send(&world, ask, who, &body).await;
            assert_eq!(got.outcome(), "200", "{}", got.text());
            let token = delegated(&got, "rw");
            let read = world.send_unsigned(&format!("GET /con/b?{token}"), "").await;
            assert_eq!(read.outcome(), "200", "{}", read.text());
            let put = format!("PUT /con/b?{token}\nx-ms-blob-type: BlockBlob");
            assert_eq!(world.send_unsigned(&put, "").await.outcome(), put_outcome, "{who}");
            let other = token.replace("skoid=", "skoid=x");
            let got = world.send_unsigned(&format!("GET /con/b?{other}"), "").await;
            assert_eq!(got.outcome(), "403 AuthenticationFailed");
            assert!(got.text().contains("String to sign used was"), "{}", got.text());
        }
        let by_key = world.send(ask, body.clone()).await;
        assert_eq!(by_key.outcome(), "403 AuthenticationFailed");
        let long = "<KeyInfo><Expiry>2099-01-01T00:00:00Z</Expiry></KeyInfo>";
        let got = send(&world, ask, "reader", long).await;
        assert_eq!(got.outcome(), "400 InvalidXmlNodeValue");
        assert_eq!(send(&world, ask, "stranger", &body).await.status, 403);
    });
}

#[test]
fn keys_of_users_outlive_the_server() {
    run(async {
        let world = world().await;
        let ask = "POST /?restype=service&comp=userdelegationkey";
        let expiry = crate::clock::now().plus(Span::days(1)).to_iso();
        let body = format!("<KeyInfo><Expiry>{expiry}</Expiry></KeyInfo>");
        let token = delegated(&send(&world, ask, "reader", &body).await, "r");
        let world = world.reopen().await;
        let read = world.send_unsigned(&format!("GET /con/b?{token}"), "").await;
        assert_eq!(read.outcome(), "200", "{}", read.text());
    });
}

/// An issuer that tells its keys to whoever asks, and how often it was asked.
#[derive(Clone, Debug, Default)]
struct Issuer(Arc<Mutex<(Vec<&'static str>, u32)>>);

impl Issuer {
    /// Begins to tell; where.
    async fn listen(&self, serving: &mut JoinSet<()>) -> String {
        let issuer = self.clone();
        let tell = move |_request| {
            let body = ResponseBody::Bytes(issuer.told().into());
            async { Response { status: 200, reason: None, headers: Vec::new(), body } }
        };
        let refuse = |_| Response {
            status: 500,
            reason: None,
            headers: Vec::new(),
            body: ResponseBody::Empty,
        };
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.expect("a port");
        let url = format!("http://{}/keys", listener.address());
        serving.spawn(listener.serve(Handler::new(tell, refuse), CancellationToken::new()));
        url
    }

    fn told(&self) -> String {
        let mut issuer = self.0.lock().expect("no panic");
        issuer.1 += 1;
        let key = |id: &&str| {
            format!(r#"{{"kty":"oct","kid":"{id}","k":"{}"}}"#, URL_SAFE_NO_PAD.encode(id))
        };
        format!(r#"{{"keys":[{}]}}"#, issuer.0.iter().map(key).collect::<Vec<_>>().join(","))
    }

    fn has(&self, keys: &[&'static str]) {
        self.0.lock().expect("no panic").0 = keys.to_vec();
    }

    fn n_asked(&self) -> u32 {
        self.0.lock().expect("no panic").1
    }
}

/// What the owner is answered at a time who comes with a token signed by a key.
async fn outcome_at(world: &World, at: Timestamp, key: &str) -> u16 {
    let claims = r#"{"iss":"https://issuer.example/","aud":"https://storage.azure.com/",
                     "exp":4070908800,"oid":"owner"}"#;
    let header = format!(r#"{{"alg":"HS256","kid":"{key}"}}"#);
    let token = headed(&header, key.as_bytes(), claims);
    let head = format!("GET /con/b\n{VERSION}\nAuthorization: Bearer {token}");
    let mut request = world.request(&head, bytes::Bytes::new());
    request.received_at = at;
    world.call(request).await.status
}

#[test]
fn a_new_key_of_the_issuer_is_found_without_asking_too_often() {
    run(async {
        let issuer = Issuer::default();
        issuer.has(&["first"]);
        let mut serving = JoinSet::new();
        let url = issuer.listen(&mut serving).await;
        let world = trusting(World::new().await, TokenKeys::Url(url)).await;
        let begun_at = crate::clock::now();
        let after = |seconds| begun_at.plus(Span::seconds(seconds));
        // Two who come at once ask once.
        let both = tokio::join!(
            outcome_at(&world, begun_at, "first"),
            outcome_at(&world, begun_at, "first")
        );
        assert_eq!((both, issuer.n_asked()), ((200, 200), 1));
        issuer.has(&["first", "second"]);
        // What is not known is asked for, but not within a minute of the last time.
        assert_eq!((outcome_at(&world, after(59), "second").await, issuer.n_asked()), (401, 1));
        assert_eq!((outcome_at(&world, after(60), "second").await, issuer.n_asked()), (200, 2));
        for second in 61..119 {
            assert_eq!(outcome_at(&world, after(second), "forged").await, 401);
        }
        assert_eq!((outcome_at(&world, after(119), "first").await, issuer.n_asked()), (200, 2));
        let both = tokio::join!(
            outcome_at(&world, after(120), "forged"),
            outcome_at(&world, after(120), "forged")
        );
        assert_eq!((both, issuer.n_asked()), ((401, 401), 3));
        // A key that the issuer took back is good for an hour at the most.
        issuer.has(&["second"]);
        assert_eq!((outcome_at(&world, after(3719), "first").await, issuer.n_asked()), (200, 3));
        assert_eq!((outcome_at(&world, after(3720), "first").await, issuer.n_asked()), (401, 4));
    });
}
