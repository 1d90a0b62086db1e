//! File systems that pools mount on their nodes.

use kiln_wire::node::Mount;
use serde_json::{Value, json};

use crate::rig::{Rig, pool_body};

/// A pool of no nodes that mounts one file system of each kind.
fn pool_of_mounts(id: &str) -> Value {
    let mut pool = pool_body(id, 0);
    pool["mountConfiguration"] = json!([
        { "azureBlobFileSystemConfiguration": {
            "accountName": "acme", "containerName": "data", "accountKey": "aHVzaC1odXNo",
            "relativeMountPath": "data", "blobfuseOptions": "-o allow_other",
        } },
        { "azureBlobFileSystemConfiguration": {
            "accountName": "acme", "containerName": "more", "sasKey": "?sig=hush-hush",
            "relativeMountPath": "more",
        } },
        { "nfsMountConfiguration": { "source": "host:/dir", "relativeMountPath": "nfs" } },
        { "cifsMountConfiguration": {
            "username": "me", "password": "hush-hush", "source": "//host/share",
            "relativeMountPath": "cifs", "mountOptions": "-o vers=3.0",
        } },
        { "azureFileShareConfiguration": {
            "accountName": "acme", "accountKey": "hush-hush", "relativeMountPath": "share",
            "azureFileUrl": "https://acme.file.core.windows.net/share",
        } },
    ]);
    pool
}

#[tokio::test]
async fn a_pool_keeps_what_it_mounts_and_shows_no_secret() {
    let mut rig = Rig::start().await;
    rig.post("/pools", &pool_of_mounts("m")).send().await.expect(201);
    let shown = rig.get("/pools/m").send().await.expect(200).body;
    let mut expected = pool_of_mounts("m")["mountConfiguration"].clone();
    for mount in expected.as_array_mut().expect("a list") {
        for kind in mount.as_object_mut().expect("an entry").values_mut() {
            for secret in ["accountKey", "sasKey", "password"] {
                kind.as_object_mut().expect("members").remove(secret);
            }
        }
    }
    assert_eq!(shown["mountConfiguration"], expected);
    // Versions that do not know it do not show it.
    let shown = rig.get("/pools/m").version("2018-12-01.8.0").send().await.expect(200).body;
    assert_eq!(shown["mountConfiguration"], Value::Null);
    // The node hears what it needs, and no key of an account of blobs.
    rig.post("/pools/m/resize", &json!({ "targetDedicatedNodes": 1 })).send().await.expect(202);
    let mut agent = rig.agent().await;
    let mounts = agent.prepare().await.mounts;
    let paths: Vec<&str> = mounts.iter().map(Mount::path).collect();
    assert_eq!(paths, ["data", "more", "nfs", "cifs", "share"]);
    let url = |mount: &Mount| match mount {
        Mount::Blob(blob) => {
            assert_eq!((&blob.wanted.account_key, &blob.wanted.sas_key), (&None, &None));
            blob.container_url.clone().expect("it is opened").0
        }
        Mount::Nfs(_) | Mount::Cifs(_) | Mount::FileShare(_) => String::new(),
    };
    let signed = url(&mounts[0]);
    assert!(signed.starts_with("https://acme.blob.core.windows.net/data?"), "{signed}");
    assert!(signed.contains("sig=") && signed.contains("sp=racwdl"), "{signed}");
    assert_eq!(url(&mounts[1]), "https://acme.blob.core.windows.net/more?sig=hush-hush");
    match &mounts[3] {
        Mount::Cifs(cifs) => assert_eq!(cifs.password.0, "hush-hush"),
        other @ (Mount::Blob(_) | Mount::Nfs(_) | Mount::FileShare(_)) => panic!("{other:?}"),
    }
    let printed = format!("{mounts:?}");
    assert!(!printed.contains("hush") && !printed.contains("sig="), "{printed}");
}

#[tokio::test]
async fn pools_say_by_name_what_is_wrong_with_their_mounts() {
    let rig = Rig::start().await;
    let refused = async |pointer: &str, value: Value, name: &str| {
        let mut body = pool_of_mounts("m");
        *body.pointer_mut(&format!("/mountConfiguration{pointer}")).expect("there") = value;
        let reply = rig.post("/pools", &body).send().await.expect(400);
        let said = reply.body.to_string();
        assert_eq!(reply.body["code"], "InvalidPropertyValue", "{said}");
        assert!(said.contains(name) && !said.contains("hush"), "{said}");
    };
    let path = "/0/azureBlobFileSystemConfiguration/relativeMountPath";
    for bad in ["..", "/a", "a/../b", "", "more", "nfs/below"] {
        let name = "relativeMountPath";
        refused(path, json!(bad), name).await;
    }
    refused("/2/nfsMountConfiguration/source", json!("host"), "nfsMountConfiguration.source").await;
    refused("/2", json!({}), "mountConfiguration").await;
    let mount = pool_of_mounts("m")["mountConfiguration"][2].clone();
    refused("", json!(vec![mount; 11]), "mountConfiguration").await;
    let mut body = pool_of_mounts("m");
    let blob = &mut body["mountConfiguration"][0]["azureBlobFileSystemConfiguration"];
    blob.as_object_mut().expect("members").remove("accountKey");
    let reply = rig.post("/pools", &body).send().await.expect(400);
    assert_eq!(reply.body["code"], "MissingRequiredProperty", "{}", reply.body);
}
