//! Members that clients send and the service never gives back.

/// Model and field.
const SECRETS: [(&str, &str); 12] = [
    ("UserAccount", "password"),
    ("UserAccount", "sshPrivateKey"),
    ("LinuxUserConfiguration", "sshPrivateKey"),
    ("ComputeNodeUser", "password"),
    ("ContainerRegistry", "password"),
    ("AzureBlobFileSystemConfiguration", "accountKey"),
    ("AzureBlobFileSystemConfiguration", "sasKey"),
    ("AzureFileShareConfiguration", "accountKey"),
    ("CIFSMountConfiguration", "password"),
    ("VMExtension", "protectedSettings"),
    ("Certificate", "data"),
    ("Certificate", "password"),
];

/// Whether answers leave the field out.
pub(crate) fn is_secret(model: &str, field: &str) -> bool {
    SECRETS.contains(&(model, field))
}
