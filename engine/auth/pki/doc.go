// Package pki owns the keys of one cluster: its certificate authority, the
// certificates the server presents and dials with, and the key that signs
// service account tokens. They live in one directory, each identity in one file
// (certificate and key together, mode 0600), so that a replacement is a single
// rename. The directory appears complete or not at all.
//
// It never talks to the network and knows nothing of the API. A PKI is safe for
// concurrent use; leaf certificates are renewed when asked for near their end.
package pki
