package keyring

import (
	"crypto/aes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/storage/value"
	aestransformer "k8s.io/apiserver/pkg/storage/value/encrypt/aes"
)

const (
	fileVersion = 1
	secretBytes = 32
)

// Key is one key of the file.
type Key struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Secret  []byte    `json:"secret"`
}

// contents is the file.
type contents struct {
	Version int `json:"version"`
	// Keys, the one that encrypts first.
	Keys []Key `json:"keys"`
	// Prefixes are those whose values are encrypted, all of them unless Rewriting.
	Prefixes []string `json:"prefixes"`
	// Rewriting is set while stored values are brought into the wanted form.
	Rewriting bool `json:"rewriting,omitempty"`
}

// Keyring is an open key file.
type Keyring struct {
	path string
	set  atomic.Pointer[keySet]
	// writeMu is held while the file is replaced.
	writeMu sync.Mutex
}

// keySet is what transformers work with; it is replaced, never changed.
type keySet struct {
	file    contents
	primary string
	ciphers map[string]value.Transformer
}

// Open reads the key file, or makes one with a new key if there is none.
func Open(path string) (*Keyring, error) {
	k := &Keyring{path: path}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := newKey()
		if err != nil {
			return nil, err
		}
		return k, k.replace(contents{Version: fileVersion, Keys: []Key{key}})
	}
	if err != nil {
		return nil, fmt.Errorf("read the encryption keys: %w", err)
	}
	file, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("the key file %s is damaged (%w); put back the copy that was saved of it", path, err)
	}
	set, err := newKeySet(file)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	k.set.Store(set)
	return k, nil
}

func parse(raw []byte) (contents, error) {
	var file contents
	if err := json.Unmarshal(raw, &file); err != nil {
		return file, err
	}
	if file.Version != fileVersion {
		return file, fmt.Errorf("version %d is not known, only %d", file.Version, fileVersion)
	}
	if len(file.Keys) == 0 {
		return file, errors.New("there is no key in it")
	}
	for _, key := range file.Keys {
		if len(key.Secret) != secretBytes || key.ID != keyID(key.Secret) {
			return file, fmt.Errorf("key %q is not what it was", key.ID)
		}
	}
	return file, nil
}

func newKey() (Key, error) {
	secret := make([]byte, secretBytes)
	if _, err := rand.Read(secret); err != nil {
		return Key{}, err
	}
	return Key{ID: keyID(secret), Created: time.Now().UTC().Truncate(time.Second), Secret: secret}, nil
}

func keyID(secret []byte) string {
	sum := sha256.Sum256(append([]byte("pintle store key "), secret...))
	return hex.EncodeToString(sum[:4])
}

func newKeySet(file contents) (*keySet, error) {
	set := &keySet{file: file, primary: file.Keys[0].ID, ciphers: map[string]value.Transformer{}}
	for _, key := range file.Keys {
		block, err := aes.NewCipher(key.Secret)
		if err != nil {
			return nil, err
		}
		if set.ciphers[key.ID], err = aestransformer.NewGCMTransformer(block); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// replace writes the file and starts using it.
func (k *Keyring) replace(file contents) error {
	set, err := newKeySet(file)
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(k.path, append(raw, '\n')); err != nil {
		return fmt.Errorf("write the key file: %w", err)
	}
	k.set.Store(set)
	return nil
}

// writeFile replaces a file so that after a crash it is either the old or the new.
func writeFile(path string, raw []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (k *Keyring) change(change func(*contents) error) error {
	k.writeMu.Lock()
	defer k.writeMu.Unlock()
	file := k.set.Load().file
	file.Keys, file.Prefixes = slices.Clone(file.Keys), slices.Clone(file.Prefixes)
	if err := change(&file); err != nil {
		return err
	}
	return k.replace(file)
}

// Path is where the file is.
func (k *Keyring) Path() string { return k.path }

// Primary is the id of the key that encrypts.
func (k *Keyring) Primary() string { return k.set.Load().primary }

// IDs are the ids of all keys, the primary first.
func (k *Keyring) IDs() []string {
	var ids []string
	for _, key := range k.set.Load().file.Keys {
		ids = append(ids, key.ID)
	}
	return ids
}

// Prefixes are those whose values are encrypted.
func (k *Keyring) Prefixes() []string { return k.set.Load().file.Prefixes }

// Rewriting reports whether stored values are still to be brought into form.
func (k *Keyring) Rewriting() bool { return k.set.Load().file.Rewriting }

// Select notes which prefixes are to be encrypted, and that stored values may have
// to be rewritten for it.
func (k *Keyring) Select(prefixes []string) error {
	return k.change(func(c *contents) error {
		c.Prefixes, c.Rewriting = prefixes, true
		return nil
	})
}

// Rotate makes a new key the one that encrypts.
func (k *Keyring) Rotate() error {
	key, err := newKey()
	if err != nil {
		return err
	}
	return k.change(func(c *contents) error {
		c.Keys, c.Rewriting = append([]Key{key}, c.Keys...), true
		return nil
	})
}

// Finish notes that everything stored is in form, and drops the keys that are
// neither primary nor in keep.
func (k *Keyring) Finish(keep []string) error {
	return k.change(func(c *contents) error {
		c.Rewriting = false
		primary := c.Keys[0].ID
		c.Keys = slices.DeleteFunc(c.Keys, func(key Key) bool {
			return key.ID != primary && !slices.Contains(keep, key.ID)
		})
		return nil
	})
}

// Merge adds the keys of another file that are not in this one.
func (k *Keyring) Merge(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	other, err := parse(raw)
	if err != nil {
		return fmt.Errorf("key file %s: %w", path, err)
	}
	have := k.set.Load().ciphers
	return k.change(func(c *contents) error {
		for _, key := range other.Keys {
			if have[key.ID] == nil {
				c.Keys = append(c.Keys, key)
			}
		}
		return nil
	})
}

// Missing returns those of ids that are not in the file.
func (k *Keyring) Missing(ids []string) []string {
	have := k.set.Load().ciphers
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return have[id] != nil })
}
