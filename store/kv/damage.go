package kv

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

var tableNumber = regexp.MustCompile(`file (\d{6,})`)

// readError names the file that cannot be read, if that is what err says.
func readError(err error) error {
	if err == nil || errors.Is(err, ErrDamaged) || !pebble.IsCorruptionError(err) {
		return err
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("%w: %s", ErrDamaged, tableNumber.ReplaceAllString(text, "file $1.sst"))
}
