package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/storage/value"

	"github.com/pintle-io/pintle/store/keyring"
	"github.com/pintle-io/pintle/store/kv"
)

// Encryption says what is encrypted on disk.
type Encryption struct {
	// KeyFile holds the keys. It is made when there is none.
	KeyFile string
	// Prefixes are those of the keys whose values are encrypted, such as "/secrets/";
	// "/" is everything. When they are not what they were, stored values are
	// rewritten in the background.
	Prefixes []string
	// KeysInUse names keys besides those of the store that must be kept, by the
	// snapshots for example.
	KeysInUse func() ([]string, error)
}

// KeyError says that values cannot be read with the key file that is there.
type KeyError struct {
	File    string
	Missing []string
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("values in the store are encrypted with key %s, which is not in %s: put back the copy that was saved of that file (without it those values cannot be read by anybody)",
		strings.Join(e.Missing, ", "), e.File)
}

// keysNote is where the store remembers which keys its values may need.
const keysNote = "keys"

// encryption is the Encryption of an open Store.
type encryption struct {
	cfg  Encryption
	keys *keyring.Keyring
	// writing is held shared by writers from before they encrypt until their write
	// is done, and exclusively while the key is changed: after that, nothing is
	// written with an old key any more.
	writing sync.RWMutex
	// reading is held shared from before stored bytes are read until they are
	// decrypted, and exclusively while old keys are dropped: bytes that were read
	// before they were rewritten need theirs.
	reading sync.RWMutex
	// rotating is held by whoever rewrites.
	rotating sync.Mutex
}

// KeysNeeded returns the ids of the keys that values of db may be encrypted with.
func KeysNeeded(db *kv.DB) ([]string, error) {
	raw, err := db.Note(keysNote)
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	return strings.Split(string(raw), ","), nil
}

// openEncryption opens the key file and makes sure that it fits the store.
func (s *Store) openEncryption(cfg *Encryption) error {
	needed, err := KeysNeeded(s.kv)
	if err != nil {
		return err
	}
	if cfg == nil {
		if len(needed) > 0 {
			return &KeyError{File: "(no key file was given)", Missing: needed}
		}
		return nil
	}
	if _, err := os.Stat(cfg.KeyFile); errors.Is(err, fs.ErrNotExist) && len(needed) > 0 {
		return &KeyError{File: cfg.KeyFile, Missing: needed}
	}
	keys, err := keyring.Open(cfg.KeyFile)
	if err != nil {
		return err
	}
	if missing := keys.Missing(needed); len(missing) > 0 {
		return &KeyError{File: cfg.KeyFile, Missing: missing}
	}
	s.crypt = &encryption{cfg: *cfg, keys: keys}
	if !slices.Equal(keys.Prefixes(), cfg.Prefixes) {
		if err := keys.Select(cfg.Prefixes); err != nil {
			return err
		}
	}
	return s.noteKeys(append(needed, keys.Primary()))
}

// noteKeys remembers which keys values may be encrypted with, before any is.
func (s *Store) noteKeys(ids []string) error {
	slices.Sort(ids)
	return s.kv.SetNote(keysNote, []byte(strings.Join(slices.Compact(ids), ",")))
}

// encrypts reports whether the value of key is to be encrypted.
func (c *encryption) encrypts(key string) bool {
	return slices.ContainsFunc(c.cfg.Prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// defaultTransformer is that of a Resource whose configuration has none.
func (s *Store) defaultTransformer(prefix string) value.Transformer {
	if s.crypt == nil {
		return nil
	}
	return s.crypt.keys.Transformer(s.crypt.encrypts(prefix))
}

// beginWrite must be called before a value is made for writing, and its result
// once it is written.
func (s *Store) beginWrite() (done func()) {
	if s.crypt == nil {
		return func() {}
	}
	s.crypt.writing.RLock()
	return s.crypt.writing.RUnlock
}

// beginRead must be called before stored bytes are read, and its result once they are
// decrypted.
func (s *Store) beginRead() (done func()) {
	if s.crypt == nil {
		return func() {}
	}
	s.crypt.reading.RLock()
	return s.crypt.reading.RUnlock
}

// RotateKey makes a new key, encrypts with it from now on, and rewrites everything
// that is stored under the old one, which is then dropped unless a snapshot needs
// it. It returns how many stored values were rewritten. What is interrupted is
// finished after the next start.
func (s *Store) RotateKey(ctx context.Context) (int, error) {
	if s.crypt == nil {
		return 0, errors.New("the store has no encryption keys")
	}
	s.crypt.rotating.Lock()
	defer s.crypt.rotating.Unlock()
	if err := s.changeKey(); err != nil {
		return 0, err
	}
	return s.rewrite(ctx)
}

func (s *Store) changeKey() error {
	s.crypt.writing.Lock()
	defer s.crypt.writing.Unlock()
	if err := s.crypt.keys.Rotate(); err != nil {
		return err
	}
	return s.noteKeys(s.crypt.keys.IDs())
}

// resumeRewrite finishes what an earlier process began, or what a changed
// configuration asks for.
func (s *Store) resumeRewrite() {
	s.crypt.rotating.Lock()
	defer s.crypt.rotating.Unlock()
	n, err := s.rewrite(s.ctx)
	switch {
	case s.ctx.Err() != nil:
	case err != nil:
		s.log.Error("stored values not rewritten, will be tried at the next start", "err", err)
	default:
		s.log.Info("stored values rewritten", "count", n)
	}
}

// rewrite brings all stored values into the wanted form, and drops the keys that
// are not needed for it any more.
func (s *Store) rewrite(ctx context.Context) (int, error) {
	started := time.Now()
	plain, sealed := s.crypt.keys.Transformer(false), s.crypt.keys.Transformer(true)
	unreadable := map[string]bool{}
	n, err := s.kv.Rewrite(ctx, func(key string, rev int64, stored []byte) ([]byte, error) {
		t := plain
		if s.crypt.encrypts(key) {
			t = sealed
		}
		data, stale, err := t.TransformFromStorage(ctx, stored, authenticatedKey(key))
		if err != nil {
			// It stays as it is, with its key.
			unreadable[keyring.KeyOf(stored)] = true
			s.log.Error("value not rewritten", "key", key, "resourceVersion", rev, "err", err)
			return nil, nil
		}
		if !stale {
			return nil, nil
		}
		return t.TransformToStorage(ctx, data, authenticatedKey(key))
	})
	if err != nil {
		return n, err
	}
	var needed []string
	for id := range unreadable {
		needed = append(needed, id)
	}
	keep := slices.Clone(needed)
	if s.crypt.cfg.KeysInUse != nil {
		used, err := s.crypt.cfg.KeysInUse()
		if err != nil {
			s.log.Warn("old encryption keys kept: it is not known what needs them", "err", err)
			used = s.crypt.keys.IDs()
		}
		keep = append(keep, used...)
	}
	// First the store stops to ask for the old keys, then they go.
	if err := s.noteKeys(append(needed, s.crypt.keys.Primary())); err != nil {
		return n, err
	}
	s.log.Debug("rewrite done", "count", n, "took", time.Since(started))
	s.crypt.reading.Lock()
	defer s.crypt.reading.Unlock()
	return n, s.crypt.keys.Finish(keep)
}

// Keys describes the encryption of the store.
type Keys struct {
	File      string   `json:"file"`
	Primary   string   `json:"primary"`
	IDs       []string `json:"ids"`
	Prefixes  []string `json:"prefixes"`
	Rewriting bool     `json:"rewriting,omitempty"`
}

// Keys returns nil if the store has none.
func (s *Store) Keys() *Keys {
	if s.crypt == nil {
		return nil
	}
	k := s.crypt.keys
	return &Keys{File: k.Path(), Primary: k.Primary(), IDs: k.IDs(), Prefixes: k.Prefixes(), Rewriting: k.Rewriting()}
}
