package settings

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// none is an environment without variables.
func none(string) string { return "" }

func TestFlagsWinOverTheEnvironment(t *testing.T) {
	env := map[string]string{"PORT": "8080", "ALLOWED_ORIGINS": "*", "MAX_MESSAGE": "64KiB", "PING_INTERVAL": "1m", "TLS_CERT": "c", "TLS_KEY": "k",
		"TRUSTED_PROXIES": "10.1.2.3/8, ::1", "SYNC": "1s", "LOG_LEVEL": "warn", "KEEP_TIME": "3d"}
	got, err := Read([]string{"-ping", "2s", "-sync", "always"}, func(name string) string { return env[name] }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := Defaults()
	want.Addr, want.Origins, want.TLS, want.MaxMessage, want.Ping = ":8080", []string{"*"}, TLS{Cert: "c", Key: "k"}, 64<<10, 2*time.Second
	want.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	want.LogLevel, want.KeepTime = slog.LevelWarn, 72*time.Hour
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Settings that are not given are as in Defaults, and Defaults is well-formed.
func TestDefaults(t *testing.T) {
	got, err := Read(nil, none, io.Discard)
	if err != nil || !reflect.DeepEqual(got, Defaults()) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Each flag has an environment variable of its own, which sets the same.
func TestEachFlagHasAVariable(t *testing.T) {
	seen := map[string]string{}
	set := Defaults()
	flags := set.flags()
	flags.VisitAll(func(f *flag.Flag) {
		if f.Name == "healthcheck" { // is no setting
			return
		}
		variable := flags.env[f.Name]
		if variable == "" || seen[variable] != "" {
			t.Errorf("-%s has the variable %q, as -%s", f.Name, variable, seen[variable])
		}
		seen[variable] = f.Name
	})
}

func TestHelpSaysDefaultsAsPeopleWriteThem(t *testing.T) {
	var out bytes.Buffer
	if _, err := Read([]string{"-h"}, none, &out); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, want := range []string{"(default 720h)", "(default 25s)", "(default 1MiB)", "(default 1GiB)", "(default always)", "(default info)", "-keep-time time, KEEP_TIME"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("-h lacks %s", want)
		}
	}
	if text := out.String(); strings.Contains(text, "m0s") || strings.Contains(text, "h0m") {
		t.Errorf("-h has a time with zeros:\n%s", text)
	}
}

// A refusal names the variable that is wrong, and what to write instead.
func TestRefusalsOfVariables(t *testing.T) {
	for _, c := range []struct{ variable, value, want string }{
		{"PORT", "abc", `invalid value "abc" in the environment variable PORT: want a port, such as 3000`},
		{"PORT", ":3000", `invalid value ":3000" in the environment variable PORT: want a port, such as 3000`},
		{"COMPRESS", "maybe", `invalid value "maybe" in the environment variable COMPRESS: want true or false`},
		{"SOCKETS", "many", `invalid value "many" in the environment variable SOCKETS: want a whole number`},
		{"POST_RATE", "often", `invalid value "often" in the environment variable POST_RATE: want a number`},
		{"LOG_LEVEL", "loud", `invalid value "loud" in the environment variable LOG_LEVEL: want debug, info, warn or error`},
		{"PING_INTERVAL", "50ms", "-ping 50ms is too short; the minimum is 100ms (set by PING_INTERVAL in the environment)"},
		{"TLS_CERT", "c.pem", "-tls-cert and -tls-key go together (set by TLS_CERT in the environment)"},
	} {
		env := map[string]string{c.variable: c.value}
		if _, err := Read(nil, func(name string) string { return env[name] }, io.Discard); err == nil || err.Error() != c.want {
			t.Errorf("%s=%s: %v, want %s", c.variable, c.value, err, c.want)
		}
	}
}

func TestRefusalsOfFlags(t *testing.T) {
	for arg, want := range map[string]string{
		"-compress=maybe":       `invalid boolean value "maybe" for -compress: want true or false (-h lists the settings)`,
		"-address-sockets=many": `invalid value "many" for flag -address-sockets: want a whole number (-h lists the settings)`,
		"-unknown":              "flag provided but not defined: -unknown (-h lists the settings)",
	} {
		if _, err := Read([]string{arg}, none, io.Discard); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", arg, err, want)
		}
	}
}
