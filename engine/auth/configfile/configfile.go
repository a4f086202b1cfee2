// Package configfile reads the configuration files of API server security
// (AuthenticationConfiguration, AuthorizationConfiguration) strictly, and watches
// them for changes. It knows nothing of what is in them.
package configfile

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/pkg/util/filesystem"
)

// pollEvery is how often a file is read although nothing announced a change.
const pollEvery = time.Minute

// Decode reads one object of apiserver.config.k8s.io into its internal type T, with
// defaults. Unknown and duplicate fields are errors.
func Decode[T runtime.Object](data []byte) (T, error) {
	var none T
	scheme := runtime.NewScheme()
	install.Install(scheme)
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	obj, gvk, err := codecs.UniversalDecoder().Decode(data, nil, nil)
	if err != nil {
		return none, err
	}
	typed, ok := obj.(T)
	if !ok {
		return none, fmt.Errorf("it holds a %s, not the kind wanted here (%T)", gvk.Kind, none)
	}
	return typed, nil
}

// Watch calls apply with the file's content whenever it is another than the last
// that was applied, until ctx ends. Content for which apply fails is logged and
// tried again when the file changes or a minute passed; what was applied before
// stays in force.
func Watch(ctx context.Context, path string, last []byte, apply func(context.Context, []byte) error, log *slog.Logger) {
	filesystem.WatchUntil(ctx, pollEvery, path, func() {
		data, err := os.ReadFile(path)
		if err == nil && bytes.Equal(data, last) {
			return
		}
		if err == nil {
			err = apply(ctx, data)
		}
		if err != nil {
			log.Error("a configuration file is not taken; the one before stays in force", "name", path, "err", err)
			return
		}
		last = data
		log.Info("a configuration file was reloaded", "name", path)
	}, func(err error) {
		log.Error("a configuration file cannot be watched; it is read every minute", "name", path, "err", err)
	})
}
