package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/pintle-io/pintle/store/archive"
	"github.com/pintle-io/pintle/store/keyring"
	"github.com/pintle-io/pintle/store/kv"
	"github.com/pintle-io/pintle/store/snapshot"
)

// ExportOptions say what becomes of encrypted values.
type ExportOptions struct {
	// Decrypt writes them plainly.
	Decrypt bool
	// IncludeKeys writes the keys along.
	IncludeKeys bool
}

// Transfer is what an export or import did.
type Transfer struct {
	Revision int64 `json:"revision"`
	Entries  int   `json:"entries"`
	Bytes    int64 `json:"bytes"`
	// Encrypted counts the values that are encrypted in the archive, with Keys.
	Encrypted    int           `json:"encrypted"`
	Keys         []string      `json:"keys,omitempty"`
	KeysIncluded bool          `json:"keysIncluded,omitempty"`
	SHA256       string        `json:"sha256,omitempty"`
	Took         time.Duration `json:"took"`
}

// Export writes the newest state to w, as package archive describes.
func (s *Store) Export(ctx context.Context, w io.Writer, opts ExportOptions) (*Transfer, error) {
	var keys *keyring.Keyring
	if s.crypt != nil {
		keys = s.crypt.keys
	}
	return export(ctx, s.kv, keys, w, opts)
}

// ExportDir does the same for a store directory that nobody works with. keyFile need
// not exist if nothing is encrypted.
func ExportDir(ctx context.Context, dir, keyFile string, w io.Writer, opts ExportOptions) (*Transfer, error) {
	db, keys, err := openDir(dir, keyFile)
	if err != nil {
		return nil, err
	}
	t, err := export(ctx, db, keys, w, opts)
	return t, errors.Join(err, db.Close())
}

// openDir opens a store directory for reading, with its keys.
func openDir(dir, keyFile string) (*kv.DB, *keyring.Keyring, error) {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("there is no store in %s: %w", dir, os.ErrNotExist)
	}
	db, err := kv.Open(dir, kv.Options{ReadOnly: true})
	if err != nil {
		return nil, nil, err
	}
	keys, err := keysOf(db, keyFile)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, keys, nil
}

// keysOf opens the key file if db needs one.
func keysOf(db *kv.DB, keyFile string) (*keyring.Keyring, error) {
	needed, err := KeysNeeded(db)
	if err != nil || len(needed) == 0 {
		return nil, err
	}
	if _, err := os.Stat(keyFile); err != nil {
		return nil, &KeyError{File: keyFile, Missing: needed}
	}
	keys, err := keyring.Open(keyFile)
	if err != nil {
		return nil, err
	}
	if missing := keys.Missing(needed); len(missing) > 0 {
		return nil, &KeyError{File: keyFile, Missing: missing}
	}
	return keys, nil
}

func export(ctx context.Context, db *kv.DB, keys *keyring.Keyring, w io.Writer, opts ExportOptions) (*Transfer, error) {
	started := time.Now()
	t := &Transfer{Revision: db.Revision()}
	header := archive.Header{Created: started.UTC(), Revision: t.Revision}
	if keys != nil && !opts.Decrypt {
		header.Keys, t.Keys = keys.IDs(), keys.IDs()
		if opts.IncludeKeys {
			raw, err := os.ReadFile(keys.Path())
			if err != nil {
				return nil, err
			}
			header.KeyFile, t.KeysIncluded = json.RawMessage(raw), true
		}
	}
	out, err := archive.NewWriter(w, header)
	if err != nil {
		return nil, err
	}
	_, rangeErr := db.Range("/", "", t.Revision, func(e kv.Entry) bool {
		if err = ctx.Err(); err != nil {
			return false
		}
		if keyring.KeyOf(e.Value) != "" {
			if !opts.Decrypt {
				t.Encrypted++
			} else if e.Value, err = decrypt(ctx, keys, e.Key, e.Value); err != nil {
				return false
			}
		}
		t.Bytes += int64(len(e.Value))
		err = out.Add(e)
		return err == nil
	})
	if err := errors.Join(err, rangeErr); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if t.Entries, t.SHA256, err = out.Close(); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	t.Took = time.Since(started)
	return t, nil
}

func decrypt(ctx context.Context, keys *keyring.Keyring, key string, stored []byte) ([]byte, error) {
	if keys == nil {
		return nil, fmt.Errorf("%s is encrypted, and there is no key file", key)
	}
	plain, _, err := keys.Transformer(false).TransformFromStorage(ctx, stored, authenticatedKey(key))
	if err != nil {
		return nil, &untransformableError{key: key, err: err}
	}
	return plain, nil
}

// ImportDir makes a store of an archive in dir, where there must be none. Keys that
// come with it are added to keyFile. Only a complete and undamaged archive makes a
// store.
func ImportDir(ctx context.Context, dir, keyFile string, r io.Reader) (*Transfer, error) {
	started := time.Now()
	if err := snapshot.Complete(dir); err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("there is a store in %s already; import needs a new data directory", dir)
	}
	in, err := archive.NewReader(r)
	if err != nil {
		return nil, err
	}
	t := &Transfer{Revision: in.Header.Revision, Keys: in.Header.Keys, KeysIncluded: len(in.Header.KeyFile) > 0}
	if err := takeKeys(keyFile, &in.Header); err != nil {
		return nil, err
	}
	notes := map[string]string{}
	if len(t.Keys) > 0 {
		notes[keysNote] = strings.Join(t.Keys, ",")
	}
	err = snapshot.Replace(dir, func(tmp string) error {
		return kv.Load(tmp, kv.Options{}, in.Header.Revision, t.counting(ctx, in), notes)
	})
	t.Took = time.Since(started)
	return t, err
}

// Count adds one entry.
func (t *Transfer) Count(e kv.Entry) {
	t.Entries++
	t.Bytes += int64(len(e.Value))
	if keyring.KeyOf(e.Value) != "" {
		t.Encrypted++
	}
}

// counting yields the entries of in.
func (t *Transfer) counting(ctx context.Context, in *archive.Reader) iter.Seq2[kv.Entry, error] {
	return func(yield func(kv.Entry, error) bool) {
		for {
			e, err := in.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err = errors.Join(err, ctx.Err()); err != nil {
				yield(e, err)
				return
			}
			t.Count(e)
			if !yield(e, nil) {
				return
			}
		}
	}
}

// takeKeys makes sure that keyFile has the keys of an archive. What comes plainly is
// encrypted by the next start.
func takeKeys(keyFile string, h *archive.Header) error {
	_, statErr := os.Stat(keyFile)
	if len(h.Keys) == 0 && statErr != nil {
		return nil
	}
	if statErr != nil && len(h.KeyFile) == 0 {
		return missingKeys(h.Keys, keyFile)
	}
	keys, err := keyring.Open(keyFile)
	if err != nil {
		return err
	}
	if len(h.KeyFile) > 0 {
		tmp := keyFile + ".imported"
		if err := os.WriteFile(tmp, h.KeyFile, 0o600); err != nil {
			return err
		}
		if err := errors.Join(keys.Merge(tmp), os.Remove(tmp)); err != nil {
			return err
		}
	}
	if missing := keys.Missing(h.Keys); len(missing) > 0 {
		return missingKeys(missing, keyFile)
	}
	return keys.Select(keys.Prefixes())
}

func missingKeys(ids []string, keyFile string) error {
	return fmt.Errorf("values in the export are encrypted with key %s, which is not in %s: copy that file from the original data directory, or export with --include-keys or --decrypt", strings.Join(ids, ", "), keyFile)
}
