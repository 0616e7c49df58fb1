package settings

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
)

// Read reads the settings: a flag overrides its environment variable, which overrides the default. An error is one line
// that says what to write instead. If args ask for help, Read writes it to out, and the error is flag.ErrHelp.
func Read(args []string, getenv func(string) string, out io.Writer) (Settings, error) {
	set := Defaults()
	flags := set.flags()
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.usage(out)
	}
	if text, ok := strings.CutSuffix(fmt.Sprint(err), ": parse error"); ok {
		name := text[strings.LastIndex(text, " -")+len(" -"):]
		err = fmt.Errorf("%s: %w", text, explain(flags.Lookup(name), err))
	}
	if err != nil {
		return set, fmt.Errorf("%w (-h lists the settings)", err)
	}
	if flags.NArg() > 0 {
		return set, fmt.Errorf("unexpected argument %q (-h lists the settings)", flags.Arg(0))
	}
	fromEnvironment, err := flags.readEnvironment(getenv)
	if err != nil {
		return set, err
	}
	return set, nameVariables(set.check(), fromEnvironment)
}

// nameVariables adds to an error that names flags which environment variables they were set from; flags has the
// variables' names, by flag.
func nameVariables(err error, flags map[string]string) error {
	if err == nil {
		return nil
	}
	var from []string
	for _, word := range strings.FieldsFunc(err.Error(), func(r rune) bool { return r == ' ' || r == ',' || r == ':' }) {
		name, isFlag := strings.CutPrefix(word, "-")
		if variable := flags[name]; isFlag && variable != "" && !slices.Contains(from, variable) {
			from = append(from, variable)
		}
	}
	if len(from) == 0 {
		return err
	}
	return fmt.Errorf("%w (set by %s in the environment)", err, strings.Join(from, ", "))
}

// readEnvironment sets the flags that were not given from their environment variables, in the order of the flags' names,
// and returns which variable set which flag.
func (f *flagSet) readEnvironment(getenv func(string) string) (variables map[string]string, failed error) {
	given, variables := map[string]bool{}, map[string]string{}
	f.Visit(func(one *flag.Flag) { given[one.Name] = true })
	f.VisitAll(func(one *flag.Flag) {
		variable := f.env[one.Name]
		value := getenv(variable)
		if variable == "" || value == "" || given[one.Name] || failed != nil {
			return
		}
		variables[one.Name] = variable
		if err := f.setFrom(one, variable, value); err != nil {
			failed = fmt.Errorf("invalid value %q in the environment variable %s: %w", value, variable, err)
		}
	})
	return variables, failed
}

// setFrom sets a flag from an environment variable.
func (f *flagSet) setFrom(one *flag.Flag, variable, value string) error {
	if variable == "PORT" {
		if _, err := net.LookupPort("tcp", value); err != nil {
			return errors.New("want a port, such as 3000")
		}
		value = ":" + value
	}
	return explain(one, f.Set(one.Name, value))
}

// explain says what a value must be if package flag only says that it cannot parse it.
func explain(one *flag.Flag, err error) error {
	getter, ok := one.Value.(flag.Getter)
	if err == nil || !ok {
		return err
	}
	switch getter.Get().(type) {
	case bool:
		return errors.New("want true or false")
	case int:
		return errors.New("want a whole number")
	case float64:
		return errors.New("want a number")
	}
	return err
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
