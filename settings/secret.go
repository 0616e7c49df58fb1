package settings

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// SigningSecret returns the secret that signs sessions: the one that was set, or the data folder's, which is made at the
// first start and which only the server's user can read.
func (set *Settings) SigningSecret() ([]byte, error) {
	if set.Secret != "" {
		return []byte(set.Secret), nil
	}
	if set.NATS.URL != "" {
		slog.Warn("without -secret this node's sessions are valid on this node only")
	}
	if err := os.MkdirAll(set.Data, 0o700); err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	name := filepath.Join(set.Data, "secret")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(rand.Text() + rand.Text())
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			os.Remove(name)
			return nil, fmt.Errorf("secret: %w", err)
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("secret: %w", err)
	}
	made, err := os.ReadFile(name)
	if err == nil && len(made) < leastSecret {
		err = fmt.Errorf("%s is too short; remove it, and a new one is generated", name)
	}
	return made, err
}
