package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/zalando/go-keyring"

	"github.com/proxylite/proxylite-go"
)

// keyringService is the name of our entries in the system's keyring; the user name of
// an entry is the profile.
const keyringService = "proxylite"

// login is a stored credential.
type login struct {
	AppKey  string `json:"app_key,omitempty"`
	Token   string `json:"token,omitempty"`
	BaseURL string `json:"base_url,omitempty"`
}

func (l login) credential() proxylite.Credential {
	if l.Token != "" {
		return proxylite.BearerToken(l.Token)
	}
	return proxylite.AppKey(l.AppKey)
}

func (a *app) profileName() string {
	return cmp.Or(a.profile, os.Getenv("PROXYLITE_PROFILE"), "default")
}

// credential returns the credential of the environment, or else of a login, and sets
// the base URL that was stored with it.
func (a *app) credential() (proxylite.Credential, error) {
	key, token := os.Getenv("PROXYLITE_APP_KEY"), os.Getenv("PROXYLITE_TOKEN")
	if a.profile == "" && (key != "" || token != "") {
		if key != "" && token != "" {
			return proxylite.Credential{}, &codedError{exitCredential, errors.New("both PROXYLITE_APP_KEY and PROXYLITE_TOKEN are set: unset one")}
		}
		return login{AppKey: key, Token: token}.credential(), nil
	}
	l, where, err := a.stored()
	if err != nil {
		return proxylite.Credential{}, err
	}
	if where == "" {
		return proxylite.Credential{}, &codedError{exitCredential, fmt.Errorf(
			"no credential for profile %q: run \"proxylite login\", or set PROXYLITE_APP_KEY; --demo needs none", a.profileName())}
	}
	if a.baseURL == "" && os.Getenv("PROXYLITE_BASE_URL") == "" {
		a.baseURL = l.BaseURL
	}
	return l.credential(), nil
}

// stored looks for the login of the profile in the keyring, then in the file. where is
// empty if there is none.
func (a *app) stored() (l login, where string, err error) {
	if secret, err := keyring.Get(keyringService, a.profileName()); err == nil {
		if err := json.Unmarshal([]byte(secret), &l); err != nil {
			return l, "", &codedError{exitCredential, errors.New("the entry in the keyring can't be read: run \"proxylite login\" again")}
		}
		return l, "the keyring", nil
	}
	path, logins, err := readLogins()
	if err != nil {
		return l, "", err
	}
	l, ok := logins[a.profileName()]
	if !ok {
		return l, "", nil
	}
	return l, path, nil
}

// readLogins reads the file of the logins. A file that others can read is refused.
func readLogins() (path string, logins map[string]login, err error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", nil, &codedError{exitCredential, fmt.Errorf("no place for a file with credentials: %w", err)}
	}
	path = filepath.Join(dir, "proxylite", "credentials.json")
	logins = map[string]login{}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, logins, nil
	}
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return path, nil, &codedError{exitCredential, fmt.Errorf("other users can read %s: chmod 600 it, and make a new app_key in the dashboard", path)}
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &logins)
	}
	if err != nil {
		return path, nil, &codedError{exitCredential, fmt.Errorf("can't read the credentials: %w", err)}
	}
	return path, logins, nil
}

// writeLogins replaces the file, readable by its owner only.
func writeLogins(path string, logins map[string]login) error {
	text, err := json.MarshalIndent(logins, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return replaceFile(path, append(text, '\n'))
}

// parseCredential reads what a person pastes: an app_key, a JWT, or an extraction URL
// of the dashboard, which has the app_key in it.
func parseCredential(text string) (login, error) {
	text = strings.TrimSpace(text)
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		key := u.Query().Get("app_key")
		if key == "" {
			return login{}, usage(errors.New("the URL has no app_key in it: paste the app_key of the dashboard"))
		}
		return login{AppKey: key}, nil
	}
	if text == "" || strings.ContainsAny(text, " \t/?&") {
		return login{}, usage(errors.New("this is no app_key: copy it from the dashboard"))
	}
	if strings.Count(text, ".") == 2 && strings.HasPrefix(text, "ey") {
		return login{Token: text}, nil
	}
	return login{AppKey: text}, nil
}

func (a *app) loginCmd() *cobra.Command {
	var inFile bool
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Check an app_key or a token and store it",
		Long: `Check an app_key or a token and store it in the system's keyring, or without one in
a file that only its owner can read.

The credential is read from the terminal or from stdin, never from the command
line. An extraction URL of the dashboard can be pasted too: the app_key is taken
out of it. It is checked with a call that is free and changes nothing.`,
		Example: "  proxylite login\n  proxylite login --profile shop < key.txt",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := a.readSecret("app_key or token: ")
			if err != nil {
				return err
			}
			l, err := parseCredential(text)
			if err != nil {
				return err
			}
			l.BaseURL = cmp.Or(a.baseURL, os.Getenv("PROXYLITE_BASE_URL"))
			client, err := a.client(l.credential())
			if err != nil {
				return err
			}
			if _, err := client.Payment.Groups(cmd.Context(), proxylite.PaymentGroupsParams{}); err != nil {
				return err
			}
			return a.store(l, inFile)
		},
	}
	cmd.Flags().BoolVar(&inFile, "file", false, "store it in a file, not in the keyring")
	return cmd
}

func (a *app) store(l login, inFile bool) error {
	secret, err := json.Marshal(l)
	if err != nil {
		return err
	}
	path, logins, err := readLogins()
	if err != nil {
		return err
	}
	profile := a.profileName()
	where := "the keyring"
	if inFile || keyring.Set(keyringService, profile, string(secret)) != nil {
		where, logins[profile] = path, l
	} else {
		delete(logins, profile) // an older one
	}
	if len(logins) > 0 || where == path {
		if err := writeLogins(path, logins); err != nil {
			return err
		}
	}
	if where == path && keyring.Delete(keyringService, profile) == nil {
		a.note("the older entry in the keyring is removed")
	}
	a.note("the credential works and is stored for profile %q in %s", profile, where)
	return nil
}

func (a *app) logoutCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "Remove a stored credential",
		Args:  arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			profile := a.profileName()
			removed := keyring.Delete(keyringService, profile) == nil
			path, logins, err := readLogins()
			if err != nil {
				return err
			}
			if _, ok := logins[profile]; ok {
				removed = true
				delete(logins, profile)
				if err := writeLogins(path, logins); err != nil {
					return err
				}
			}
			if !removed {
				return notFound("no credential is stored for profile %q", profile)
			}
			a.note("the credential of profile %q is removed", profile)
			return nil
		},
	}
}
