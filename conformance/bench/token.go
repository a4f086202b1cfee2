package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// continueToken reads a list's continue token and skips the list's items.
func continueToken(raw []byte, e encoding) (string, error) {
	if e == protobuf {
		return protobufToken(raw)
	}
	// The list's metadata stands before its items, whose metadata has no such key.
	_, rest, ok := bytes.Cut(raw[:min(len(raw), 4096)], []byte(`"continue":`))
	if !ok {
		return "", nil
	}
	var token string
	err := json.NewDecoder(bytes.NewReader(rest)).Decode(&token)
	return token, err
}

// protobufToken looks through the envelope at field 1 of the list, its metadata.
func protobufToken(raw []byte) (string, error) {
	magic := []byte("k8s\x00")
	if !bytes.HasPrefix(raw, magic) {
		return "", errors.New("a list without the protobuf prefix")
	}
	var envelope runtime.Unknown
	if err := envelope.Unmarshal(raw[len(magic):]); err != nil {
		return "", err
	}
	const metadataField = 1<<3 | 2
	body := envelope.Raw
	if len(body) == 0 || body[0] != metadataField {
		return "", errors.New("a list that does not begin with its metadata")
	}
	size, n := binary.Uvarint(body[1:])
	if n <= 0 || len(body) < 1+n+int(size) {
		return "", errors.New("a list that is cut off")
	}
	var meta metav1.ListMeta
	err := meta.Unmarshal(body[1+n : 1+n+int(size)])
	return meta.Continue, err
}
