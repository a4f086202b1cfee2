package kv

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// forgetFirstStart removes what is left of a first start that a power failure ended
// before it had written anything: the file that names the MANIFEST may have
// reached the disk and the MANIFEST not. Where there is a table, a log, a MANIFEST
// or a note of what was acknowledged, nothing is touched.
func forgetFirstStart(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("list store directory: %w", err)
	}
	var markers []string
	for _, name := range names {
		switch {
		case name == guardName, name == "CURRENT", strings.HasPrefix(name, "MANIFEST-"),
			strings.HasSuffix(name, ".sst"), strings.HasSuffix(name, ".log"):
			return nil
		case strings.HasPrefix(name, "marker."):
			markers = append(markers, name)
		}
	}
	for _, name := range markers {
		if err := fsys.Remove(fsys.PathJoin(dir, name)); err != nil {
			return fmt.Errorf("remove what is left of a first start: %w", err)
		}
	}
	return nil
}
