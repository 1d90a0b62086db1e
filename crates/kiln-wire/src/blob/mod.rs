//! Headers, XML and errors of the Blob service.
