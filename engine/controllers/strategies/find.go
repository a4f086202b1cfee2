package strategies

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	corev1listers "k8s.io/client-go/listers/core/v1"

	"github.com/pintle-io/pintle/engine/apis/pintle"
	"github.com/pintle-io/pintle/engine/strategy/artifact"
)

// mostBytes bounds what is read as a module; the host's own limit is below.
const mostBytes = 16 << 20

// Registry pulls modules; artifact.Puller is one.
type Registry interface {
	Pull(ctx context.Context, a pintle.Artifact) ([]byte, error)
}

// finder finds the modules that Strategies ask for.
type finder struct {
	configMaps corev1listers.ConfigMapLister
	// dir is what files are below.
	dir      string
	builtin  func(name string) ([]byte, bool)
	registry Registry
	keep     keep
}

// found is a module.
type found struct {
	digest, source string
	module         []byte
}

// find gives the module that the spec asks for. The error is a *Fault if another try
// cannot help until something changes.
func (f *finder) find(ctx context.Context, s *pintle.Strategy) (found, error) {
	if digest := s.Spec.RollbackTo; digest != "" {
		module, err := f.keep.get(digest)
		if err != nil {
			return found{}, &Fault{NotFound, fmt.Sprintf("spec.rollbackTo: the server has not kept %s: name the digest of status.previous", digest)}
		}
		return found{digest, "the kept modules", module}, nil
	}
	of := &s.Spec.Module
	module, err := f.read(ctx, of)
	if err != nil {
		return found{}, err
	}
	digest := digestOf(module)
	if of.Digest != "" && of.Digest != digest {
		return found{}, &Fault{DigestMismatch, fmt.Sprintf("spec.module.digest: %s has %s, not %s", of, digest, of.Digest)}
	}
	return found{digest, of.String(), module}, nil
}

func (f *finder) read(ctx context.Context, of *pintle.Module) ([]byte, error) {
	switch {
	case of.ConfigMap != nil:
		return f.readConfigMap(of.ConfigMap)
	case of.File != "":
		return f.readFile(of.File)
	case of.OCI != nil:
		module, err := f.registry.Pull(ctx, *of.OCI)
		if errors.Is(err, artifact.ErrSignature) {
			err = &Fault{BadSignature, err.Error()}
		}
		return module, err
	}
	module, ok := f.builtin(of.Builtin)
	if !ok {
		return nil, &Fault{NotFound, fmt.Sprintf("spec.module.builtin: the server has no module %q", of.Builtin)}
	}
	return module, nil
}

func (f *finder) readConfigMap(key *pintle.ConfigMapKey) ([]byte, error) {
	cm, err := f.configMaps.ConfigMaps(key.Namespace).Get(key.Name)
	if err != nil {
		return nil, &Fault{NotFound, fmt.Sprintf("spec.module.configMap: there is no ConfigMap %s in namespace %s", key.Name, key.Namespace)}
	}
	module, ok := cm.BinaryData[key.Key]
	if !ok {
		return nil, &Fault{NotFound, fmt.Sprintf("spec.module.configMap.key: the binaryData of ConfigMap %s/%s has no entry %q", key.Namespace, key.Name, key.Key)}
	}
	return unpack(module)
}

// unpack decompresses what is gzip: a ConfigMap has room for a mebibyte, and the
// modules of some compilers do not fit uncompressed.
func unpack(module []byte) ([]byte, error) {
	if !bytes.HasPrefix(module, []byte("\x1f\x8b")) {
		return module, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(module))
	if err == nil {
		module, err = readModule(r)
	}
	var fault *Fault
	if err != nil && !errors.As(err, &fault) {
		err = &Fault{Refused, fmt.Sprintf("decompress it: %v", err)}
	}
	return module, err
}

// readFile reads below the directory of modules and nowhere else, links or not.
func (f *finder) readFile(name string) ([]byte, error) {
	root, err := os.OpenRoot(f.dir)
	if err == nil {
		defer root.Close()
		var file *os.File
		if file, err = root.Open(name); err == nil {
			defer file.Close()
			return readModule(file)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Fault{NotFound, fmt.Sprintf("spec.module.file: there is no file %s in the server's directory %s", name, f.dir)}
	}
	return nil, &Fault{NotFound, fmt.Sprintf("spec.module.file: %v", err)}
}

func readModule(r io.Reader) ([]byte, error) {
	module, err := io.ReadAll(io.LimitReader(r, mostBytes+1))
	if err == nil && len(module) > mostBytes {
		err = &Fault{Refused, fmt.Sprintf("it has more than %d bytes", mostBytes)}
	}
	return module, err
}

func digestOf(module []byte) string {
	sum := sha256.Sum256(module)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// keep is a directory of modules that were loaded, by digest: what a roll-back, or a
// start without the source, needs. It is private to the server.
type keep struct{ dir string }

func (k keep) file(digest string) (string, error) {
	raw, ok := cutDigest(digest)
	if !ok {
		return "", fmt.Errorf("%q is not a digest", digest)
	}
	return filepath.Join(k.dir, raw+".wasm"), nil
}

func cutDigest(digest string) (string, bool) {
	const prefix = "sha256:"
	if len(digest) != len(prefix)+2*sha256.Size || digest[:len(prefix)] != prefix {
		return "", false
	}
	raw := digest[len(prefix):]
	_, err := hex.DecodeString(raw)
	return raw, err == nil
}

// get reads a module and checks that it is what its name says.
func (k keep) get(digest string) ([]byte, error) {
	file, err := k.file(digest)
	if err != nil {
		return nil, err
	}
	module, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if have := digestOf(module); have != digest {
		return nil, fmt.Errorf("the kept module %s has the digest %s", digest, have)
	}
	return module, nil
}

// put keeps a module; one that is there stays.
func (k keep) put(f found) error {
	file, err := k.file(f.digest)
	if err != nil {
		return err
	}
	if _, err := k.get(f.digest); err == nil {
		return nil
	}
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return fmt.Errorf("keep module %s: %w", f.digest, err)
	}
	part, err := os.CreateTemp(k.dir, "part-")
	if err != nil {
		return fmt.Errorf("keep module %s: %w", f.digest, err)
	}
	_, err = part.Write(f.module)
	if err == nil {
		err = part.Sync()
	}
	if err = errors.Join(err, part.Close()); err == nil {
		err = os.Rename(part.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("keep module %s: %w", f.digest, errors.Join(err, os.Remove(part.Name())))
	}
	return nil
}

// retain removes all modules but those of these digests.
func (k keep) retain(digests map[string]bool) error {
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	var errs []error
	for _, e := range entries {
		name := e.Name()
		if ext := filepath.Ext(name); ext == ".wasm" && digests["sha256:"+name[:len(name)-len(ext)]] {
			continue
		}
		errs = append(errs, os.Remove(filepath.Join(k.dir, name)))
	}
	return errors.Join(errs...)
}
