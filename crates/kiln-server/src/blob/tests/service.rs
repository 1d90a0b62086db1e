//! What is set for a service, what browsers are told, and the secondary endpoint.

use kiln_wire::auth::sas::{Terms, account_sas, blob_sas, container_sas};

use super::{DEV_STORAGE_ACCOUNT, DEV_STORAGE_KEY, Got, World, run};

const PROPERTIES: &str = "/?restype=service&comp=properties";

async fn set(world: &World, elements: &str) -> Got {
    let body = format!("<StorageServiceProperties>{elements}</StorageServiceProperties>");
    world.send(&format!("PUT {PROPERTIES}"), body).await
}

#[test]
fn what_is_set_stays_until_it_is_set_anew() {
    run(async {
        let world = World::new().await;
        let site = "<StaticWebsite><Enabled>true</Enabled><IndexDocument>i.html</IndexDocument>\
                    </StaticWebsite>";
        assert_eq!(set(&world, site).await.outcome(), "202");
        let retention =
            "<DeleteRetentionPolicy><Enabled>true</Enabled><Days>3</Days></DeleteRetentionPolicy>";
        assert_eq!(set(&world, retention).await.outcome(), "202");
        let world = world.reopen().await;
        let got = world.send(&format!("GET {PROPERTIES}"), "").await;
        for part in ["<IndexDocument>i.html</IndexDocument>", "<Days>3</Days>", "<Cors />"] {
            assert!(got.text().contains(part), "{}", got.text());
        }
        // Deleted blobs are kept from now on.
        world.container("con").await;
        world.put("/con/b", "content").await;
        let deleted = world.send("DELETE /con/b", "").await;
        assert_eq!(deleted.header("x-ms-delete-type-permanent"), "false");
        assert_eq!(world.send("PUT /con/b?comp=undelete", "").await.outcome(), "200");

        let bad = "<DeleteRetentionPolicy><Enabled>true</Enabled></DeleteRetentionPolicy>";
        let refused = set(&world, bad).await;
        assert_eq!(refused.outcome(), "400 InvalidXmlNodeValue");
        assert!(refused.text().contains("<XmlNodeName>Days</XmlNodeName>"), "{}", refused.text());
        let refused = world.send(&format!("PUT {PROPERTIES}"), "<Other/>").await;
        assert_eq!(refused.outcome(), "400 InvalidXmlDocument");
    });
}

#[test]
fn requests_without_a_version_get_the_default_one() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        world.put("/con/b", "content").await;
        let acl = "PUT /con?restype=container&comp=acl\nx-ms-blob-public-access: container";
        assert_eq!(world.send(acl, "").await.status, 200);
        let got = world.send_unsigned("GET /con/b", "").await;
        assert_eq!(got.header("x-ms-version"), "2009-09-19");
        assert!(!got.header("etag").starts_with('"'), "{}", got.header("etag"));
        let version = "<DefaultServiceVersion>2015-07-08</DefaultServiceVersion>";
        assert_eq!(set(&world, version).await.outcome(), "202");
        let got = world.send_unsigned("GET /con/b", "").await;
        assert_eq!(got.header("x-ms-version"), "2015-07-08");
        assert!(got.header("etag").starts_with('"'), "{}", got.header("etag"));
        let newer = world.send_unsigned("GET /con/b\nx-ms-version: 2031-01-01", "").await;
        assert_eq!(newer.header("x-ms-version"), "2026-10-06");
        let odd = world.send_unsigned("GET /con/b\nx-ms-version: newest", "").await;
        assert_eq!(odd.outcome(), "400 InvalidHeaderValue");
    });
}

#[test]
fn browsers_are_told_who_may_come() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        world.put("/con/b", "content").await;
        let preflight = |origin: &str, method: &str, headers: &str| {
            format!(
                "OPTIONS /con/b\nOrigin: {origin}\nAccess-Control-Request-Method: {method}\n\
                 Access-Control-Request-Headers: {headers}"
            )
        };
        let (a, b) = ("https://a.example", "https://b.example");
        let refused = "403 CorsPreflightFailure";
        let got = world.send_unsigned(&preflight(a, "PUT", ""), "").await;
        assert_eq!(got.outcome(), refused);
        let rules = format!(
            "<Cors><CorsRule><AllowedOrigins>{a}</AllowedOrigins>\
             <AllowedMethods>PUT,GET</AllowedMethods><AllowedHeaders>x-ms-*</AllowedHeaders>\
             <ExposedHeaders>x-ms-request*,ETag</ExposedHeaders>\
             <MaxAgeInSeconds>60</MaxAgeInSeconds></CorsRule></Cors>"
        );
        assert_eq!(set(&world, &rules).await.outcome(), "202");
        let got = world.send_unsigned(&preflight(a, "PUT", "x-ms-date, x-ms-blob-type"), "").await;
        assert_eq!(got.outcome(), "200");
        assert_eq!(got.header("Access-Control-Allow-Origin"), a);
        assert_eq!(got.header("Access-Control-Allow-Methods"), "PUT");
        assert_eq!(got.header("Access-Control-Allow-Headers"), "x-ms-date,x-ms-blob-type");
        assert_eq!(got.header("Access-Control-Max-Age"), "60");
        assert_eq!(got.header("Access-Control-Allow-Credentials"), "true");
        for head in [preflight(b, "PUT", ""), preflight(a, "DELETE", ""), preflight(a, "PUT", "y")]
        {
            assert_eq!(world.send_unsigned(&head, "").await.outcome(), refused, "{head}");
        }
        let got = world.send_unsigned("OPTIONS /con/b\nOrigin: x", "").await;
        assert_eq!(got.outcome(), "400 MissingRequiredHeader");

        let got = world.send(&format!("GET /con/b\nOrigin: {a}"), "").await;
        assert_eq!(got.header("Access-Control-Allow-Origin"), a);
        assert_eq!(got.header("Access-Control-Expose-Headers"), "x-ms-request-id,ETag");
        assert_eq!((got.header("Vary"), got.status), ("Origin", 200));
        for head in [format!("GET /con/b\nOrigin: {b}"), "GET /con/b".to_owned()] {
            let got = world.send(&head, "").await;
            let told = (got.header("Access-Control-Allow-Origin"), got.header("Vary"));
            assert_eq!((told, got.status), (("", "Origin"), 200), "{head}");
        }
        // A page sees refusals too, else it could not tell them.
        let got = world.send(&format!("GET /con/none\nOrigin: {a}"), "").await;
        assert_eq!((got.status, got.header("Access-Control-Allow-Origin")), (404, a));
    });
}

#[test]
fn the_secondary_endpoint_is_for_reading() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        world.put("/con/b", "content").await;
        let stats = "?restype=service&comp=stats";
        let got = world.send(&format!("GET //devstoreaccount1-secondary{stats}"), "").await;
        assert_eq!(got.outcome(), "200");
        assert!(got.text().contains("<Status>live</Status><LastSyncTime>"), "{}", got.text());
        let got = world.send(&format!("GET /{stats}"), "").await;
        assert_eq!(got.outcome(), "400 InvalidQueryParameterValue");
        let got = world.send("GET //devstoreaccount1-secondary/con/b", "").await;
        assert_eq!(got.text(), "content");
        let host = "Host: devstoreaccount1-secondary.blob.core.windows.net";
        let got = world.send(&format!("GET //con/b\n{host}"), "").await;
        assert_eq!(got.text(), "content");
        let got = world.send("DELETE //devstoreaccount1-secondary/con/b", "").await;
        assert_eq!(got.outcome(), "403 InsufficientAccountPermissions");
    });
}

#[test]
fn any_signature_may_ask_what_kind_of_account_it_is() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        world.put("/con/b", "content").await;
        let terms =
            |permissions| Terms { permissions, expiry: "2099-01-01T00:00:00Z", ..Terms::default() };
        let (account, key) = (DEV_STORAGE_ACCOUNT, DEV_STORAGE_KEY);
        let whole = account_sas(account, key, "c", terms("w")).expect("made");
        let container = container_sas(account, key, "con", terms("l")).expect("made");
        let blob = blob_sas(account, key, "con", "b", terms("d")).expect("made");
        let ask = "restype=account&comp=properties";
        for (head, outcome) in [
            (format!("GET /con?{ask}&{whole}"), "200"),
            (format!("HEAD /con?{ask}&{container}"), "200"),
            (format!("HEAD /con/b?{ask}&{blob}"), "200"),
            (format!("GET /?{ask}&{whole}"), "403 AuthorizationResourceTypeMismatch"),
        ] {
            let got = world.send_unsigned(&head, "").await;
            assert_eq!(got.outcome(), outcome, "{head}");
            if got.status == 200 {
                assert_eq!(got.header("x-ms-account-kind"), "StorageV2");
                assert_eq!(got.header("x-ms-is-hns-enabled"), "false");
            }
        }
        let old = world.send(&format!("GET /?{ask}\nx-ms-version: 2018-03-28"), "").await;
        assert_eq!((old.status, old.header("x-ms-is-hns-enabled")), (200, ""));
    });
}

#[test]
fn a_client_may_say_how_long_it_waits() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        assert_eq!(world.send("GET /?comp=list&timeout=20", "").await.outcome(), "200");
        let odd = world.send("GET /?comp=list&timeout=soon", "").await;
        assert_eq!(odd.outcome(), "400 InvalidQueryParameterValue");
        // A body that never comes is waited for as long as that and no longer.
        let mut request = world.request(
            "PUT /con/b?timeout=1\nx-ms-blob-type: BlockBlob\nx-ms-version: 2021-12-02",
            "".into(),
        );
        request.body = crate::http::Body::from_stream(futures_util::stream::pending());
        let token = container_sas(
            DEV_STORAGE_ACCOUNT,
            DEV_STORAGE_KEY,
            "con",
            Terms { permissions: "w", expiry: "2099-01-01", ..Terms::default() },
        );
        let token = token.expect("made");
        request.query.extend(form_urlencoded::parse(token.as_bytes()).into_owned());
        assert_eq!(world.call(request).await.outcome(), "500 OperationTimedOut");
    });
}
