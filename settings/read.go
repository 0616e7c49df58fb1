package settings

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// Read reads the settings: a flag wins over its environment variable, which wins over the default. An error is one line
// that says what to write instead, and is flag.ErrHelp where args ask for help, which out then has.
func Read(args []string, getenv func(string) string, out io.Writer) (Settings, error) {
	set := Defaults()
	flags := set.flags()
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.usage(out)
	}
	if err != nil {
		return set, fmt.Errorf("%w (-h lists the settings)", err)
	}
	if flags.NArg() > 0 {
		return set, fmt.Errorf("unexpected argument %q (-h lists the settings)", flags.Arg(0))
	}
	if err := flags.readEnvironment(getenv); err != nil {
		return set, err
	}
	return set, set.check()
}

// readEnvironment sets the flags that were not given from their environment variables, in the order of their names.
func (f *flagSet) readEnvironment(getenv func(string) string) error {
	given := map[string]bool{}
	f.Visit(func(one *flag.Flag) { given[one.Name] = true })
	var failed error
	f.VisitAll(func(one *flag.Flag) {
		variable := f.env[one.Name]
		value := getenv(variable)
		if variable == "" || value == "" || given[one.Name] || failed != nil {
			return
		}
		if variable == "PORT" {
			value = ":" + value
		}
		if err := f.Set(one.Name, value); err != nil {
			failed = fmt.Errorf("invalid value %q in the environment variable %s: %w", getenv(variable), variable, err)
		}
	})
	return failed
}

func (f *flagSet) usage(out io.Writer) {
	fmt.Fprint(out, "echows is a WebSocket server to learn from and then keep.\n\nSettings, each as a flag or an environment variable:\n")
	f.VisitAll(func(one *flag.Flag) {
		value, text := flag.UnquoteUsage(one)
		if f.env[one.Name] == "" {
			return
		}
		if value != "" {
			value = " " + value
		}
		fmt.Fprintf(out, "\n  -%s%s, %s\n      %s", one.Name, value, f.env[one.Name], text)
		if one.DefValue != "" {
			fmt.Fprintf(out, " (default %s)", one.DefValue)
		}
		fmt.Fprintln(out)
	})
	fmt.Fprint(out, "\nInstead of serving:\n")
	f.VisitAll(func(one *flag.Flag) {
		if f.env[one.Name] == "" {
			fmt.Fprintf(out, "\n  -%s\n      %s\n", one.Name, one.Usage)
		}
	})
	fmt.Fprint(out, "\n  -version\n      print the version\n")
}
