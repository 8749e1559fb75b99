package redisstore

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/proxylite/proxylite-go"
)

// sealer turns endpoints into what is kept in Redis, and back. Names are hashed, with
// the key if there is one.
type sealer struct {
	key  []byte // of the hashes
	aead cipher.AEAD
}

func newSealer(key []byte) (sealer, error) {
	if len(key) == 0 {
		return sealer{key: []byte("proxylite")}, nil
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, fmt.Errorf("redisstore: Options.Key must have 16, 24 or 32 bytes, not %d", len(key))
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealer{}, fmt.Errorf("redisstore: Options.Key: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("names"))
	return sealer{mac.Sum(nil), aead}, nil
}

func (s sealer) hash(kind, text string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(kind + "\x00" + text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

func (s sealer) id(id string) string       { return s.hash("proxy", id) }
func (s sealer) session(key string) string { return s.hash("session", key) }
func (s sealer) member(id string) string   { return s.hash("member", id) }

// fingerprint tells keys apart.
func (s sealer) fingerprint() string {
	if s.aead == nil {
		return "none"
	}
	return s.hash("fingerprint", "")[:8]
}

// close returns the payload for a place.
func (s sealer) close(place string, e proxylite.Endpoint) (string, error) {
	plain, err := proxylite.MarshalRevealed(e)
	if err != nil {
		return "", err
	}
	if s.aead == nil {
		return string(plain), nil
	}
	return base64.RawStdEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, []byte(place))), nil //nolint:gosec // the cipher makes the nonce
}

// open reads the payload of a place.
func (s sealer) open(place, payload string) (e proxylite.Endpoint, err error) {
	plain := []byte(payload)
	if s.aead != nil {
		sealed, err := base64.RawStdEncoding.DecodeString(payload)
		if err != nil {
			return e, ErrSealed
		}
		if plain, err = s.aead.Open(nil, nil, sealed, []byte(place)); err != nil {
			return e, ErrSealed
		}
	}
	if err := json.Unmarshal(plain, &e); err != nil {
		return proxylite.Endpoint{}, fmt.Errorf("%w: a proxy that is not JSON", ErrResponse)
	}
	return e, nil
}
