package keyring

import (
	"bytes"
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/storage/value"
)

// prefix begins every encrypted value; the key's id and a colon follow. What is
// stored plainly begins with "k8s\x00" or "{".
const prefix = "pintle:aesgcm:v1:"

// Transformer reads both plain and encrypted values, and writes encrypted ones if it
// is told to.
func (k *Keyring) Transformer(encrypt bool) value.Transformer {
	return &transformer{keys: k, encrypt: encrypt}
}

type transformer struct {
	keys    *Keyring
	encrypt bool
}

// TransformToStorage implements value.Transformer.
func (t *transformer) TransformToStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, error) {
	if !t.encrypt {
		return data, nil
	}
	set := t.keys.set.Load()
	sealed, err := set.ciphers[set.primary].TransformToStorage(ctx, data, dataCtx)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(prefix)+len(set.primary)+1+len(sealed))
	out = append(out, prefix...)
	out = append(out, set.primary...)
	out = append(out, ':')
	return append(out, sealed...), nil
}

// TransformFromStorage implements value.Transformer. A value is stale if it is not
// stored as this transformer would store it now.
func (t *transformer) TransformFromStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, bool, error) {
	id, sealed, encrypted := cut(data)
	if !encrypted {
		return data, t.encrypt, nil
	}
	set := t.keys.set.Load()
	cipher := set.ciphers[id]
	if cipher == nil {
		return nil, false, fmt.Errorf("it is encrypted with key %q, which is not in %s", id, t.keys.path)
	}
	plain, _, err := cipher.TransformFromStorage(ctx, sealed, dataCtx)
	return plain, !t.encrypt || id != set.primary, err
}

// KeyOf is the id of the key a stored value is encrypted with, or "".
func KeyOf(stored []byte) string {
	id, _, _ := cut(stored)
	return id
}

func cut(data []byte) (id string, sealed []byte, encrypted bool) {
	rest, encrypted := bytes.CutPrefix(data, []byte(prefix))
	if !encrypted {
		return "", nil, false
	}
	raw, sealed, encrypted := bytes.Cut(rest, []byte(":"))
	return string(raw), sealed, encrypted
}
