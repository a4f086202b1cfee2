package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pintle-io/pintle/engine/apiserver/guard"
)

// manifestLimit is what a server takes as one object.
const manifestLimit = 3 << 20

// checkManifests refuses documents that kubectl's library could not decode within
// reason: it writes out the aliases of YAML without a bound. It looks at the files
// that a command line names with -f, and at standard input, which it returns to be
// read again. What is not there, or is not YAML, is left to kubectl.
func checkManifests(args []string, in io.Reader) (io.Reader, error) {
	for _, name := range manifestNames(args) {
		if name == "-" {
			raw, err := io.ReadAll(in)
			if err != nil {
				return nil, err
			}
			in = bytes.NewReader(raw)
			if err := checkDocuments(raw); err != nil {
				return nil, fmt.Errorf("standard input: %w", err)
			}
			continue
		}
		err := filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || path != name && !slices.Contains(manifestEndings, filepath.Ext(path)) {
				return nil
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return nil
			}
			if err := checkDocuments(raw); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return in, nil
}

// spool keeps what was read in a file without a name, to be read once more.
func spool(in io.Reader) (*os.File, error) {
	file, err := os.CreateTemp("", "pintle-stdin-")
	if err != nil {
		return nil, err
	}
	err = os.Remove(file.Name())
	if err == nil {
		_, err = io.Copy(file, in)
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// manifestEndings are those of the files that kubectl takes from a directory.
var manifestEndings = []string{".json", ".yaml", ".yml"}

// manifestNames are the values of -f and --filename.
func manifestNames(args []string) []string {
	var names []string
	for i, arg := range args {
		value, ok := strings.CutPrefix(arg, "--filename=")
		if !ok {
			value, ok = strings.CutPrefix(arg, "-f=")
		}
		if !ok && (arg == "-f" || arg == "--filename") && i+1 < len(args) {
			value, ok = args[i+1], true
		}
		if ok {
			names = append(names, strings.Split(value, ",")...)
		}
	}
	return names
}

var separator = regexp.MustCompile(`(?m)^---`)

func checkDocuments(raw []byte) error {
	for _, doc := range separator.Split(string(raw), -1) {
		if err := guard.YAML([]byte(doc), manifestLimit); err != nil {
			return err
		}
	}
	return nil
}
