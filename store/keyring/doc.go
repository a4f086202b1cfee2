// Package keyring owns the keys that stored values are encrypted with: the key file,
// and the transformers that use it.
//
// The file is JSON, readable by its owner only, and replaced as a whole. The first
// key encrypts; the others can still decrypt. A key's id is taken from its secret, so
// that a wrong file is told from the right one. Values are sealed with AES-GCM, and
// the key they are stored under is authenticated with them: a value moved to another
// object does not open.
//
// It never decides what is encrypted, nor when a key is dropped. A Keyring may be
// used from any goroutine.
package keyring
