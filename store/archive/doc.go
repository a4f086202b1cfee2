// Package archive owns the portable form of a store's newest state: one stream that
// can be kept, moved and read by any later version, and by other backends.
//
// # Format
//
// The line "PINTLE EXPORT 1\n", then frames:
//
//	type  byte     'h' header, 'e' entry, 'z' end
//	size  uint32   of the body, big endian
//	body
//	crc   uint32   CRC-32C of type, size and body
//
// The header is JSON. An entry is a uvarint each for the length of the key, create
// revision, mod revision, expiry, then key and value. The end is JSON with the number
// of entries and the SHA-256 of everything before it: a stream without it is not
// complete.
//
// Values are as they are stored: encrypted ones stay so unless the writer of the
// archive decrypts them. It holds nothing in memory but one frame.
package archive
