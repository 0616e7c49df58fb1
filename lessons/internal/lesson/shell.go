//go:build unix

package lesson

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Terminal is a window with a shell: commands share its variables and its folder.
type Terminal struct {
	name    string
	cmd     *exec.Cmd
	control *os.File // commands go in, each with a NUL at its end
	input   *os.File // what programs read as their standard input
	output  *os.File // of the shell and its programs
	read    chan struct{}
	closed  bool

	mu      sync.Mutex // guards the rest
	lines   []string   // what came
	part    []byte     // of a line that has not ended
	running bool       // a command
	exit    int        // of the last command that ended
	gone    bool       // the shell has ended
	changed chan struct{}
}

// The shell reads commands from its descriptor 3, which they do not get, and says on the output when one has ended: \001, its exit code, and
// a line's end. Ctrl-C is for the command, and not for the shell.
const shellLoop = `trap : INT
while IFS= read -r -d "" command <&3; do
	eval "$command" 3<&-
	printf '\001%d\n' $?
done`

// NewTerminal starts a shell in a folder. Close it.
func NewTerminal(name, folder string, env []string) (*Terminal, error) {
	t := &Terminal{name: name, read: make(chan struct{}), changed: make(chan struct{})}
	commands, control, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	input, typed, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	output, written, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	t.control, t.input, t.output = control, typed, output
	t.cmd = exec.Command("bash", "--noprofile", "--norc", "-c", shellLoop)
	t.cmd.Dir = folder
	t.cmd.Env = env
	t.cmd.Stdin, t.cmd.Stdout, t.cmd.Stderr = input, written, written
	t.cmd.ExtraFiles = []*os.File{commands}
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that all of it can be ended
	err = t.cmd.Start()
	commands.Close()
	input.Close()
	written.Close()
	if err != nil {
		control.Close()
		typed.Close()
		output.Close()
		return nil, err
	}
	if name == "" { // whose commands are not typed to: they read nothing
		typed.Close()
	}
	go t.listen()
	return t, nil
}

// listen reads what comes, until nobody can write any more.
func (t *Terminal) listen() {
	defer close(t.read)
	buffer := make([]byte, 32<<10)
	for {
		n, err := t.output.Read(buffer)
		t.mu.Lock()
		t.take(buffer[:n])
		t.gone = err != nil
		close(t.changed)
		t.changed = make(chan struct{})
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (t *Terminal) take(data []byte) {
	t.part = append(t.part, data...)
	for {
		end := bytes.IndexByte(t.part, '\n')
		if end < 0 {
			return
		}
		line := string(t.part[:end])
		t.part = t.part[end+1:]
		line, code, ended := strings.Cut(line, "\001")
		if ended {
			t.running = false
			t.exit, _ = strconv.Atoi(code)
		}
		if !ended || line != "" {
			t.lines = append(t.lines, line)
		}
	}
}

// Type types a command, once the one before has ended, and returns how many lines there were then.
func (t *Terminal) Type(ctx context.Context, command string) (lines int, err error) {
	if err := t.End(ctx); err != nil {
		return 0, fmt.Errorf("the command before it, in terminal %q, still runs: %w", t.name, err)
	}
	t.mu.Lock()
	t.running = true
	lines = len(t.lines)
	t.mu.Unlock()
	_, err = t.control.WriteString(command + "\x00")
	return lines, err
}

// Input types a line to the program that runs, and returns how many lines there were before.
func (t *Terminal) Input(line string) (lines int, err error) {
	if lines, err = t.lenRunning(); err != nil {
		return 0, err
	}
	t.input.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, err = t.input.WriteString(line + "\n")
	return lines, err
}

// Interrupt is Ctrl-C: SIGINT for the command, which is to end. It returns how many lines there were before.
func (t *Terminal) Interrupt(ctx context.Context) (lines int, err error) {
	if lines, err = t.lenRunning(); err != nil {
		return 0, err
	}
	if err := syscall.Kill(-t.cmd.Process.Pid, syscall.SIGINT); err != nil {
		return 0, err
	}
	return lines, t.End(ctx)
}

func (t *Terminal) lenRunning() (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.running {
		return 0, fmt.Errorf("nothing runs in terminal %q", t.name)
	}
	return len(t.lines), nil
}

// End waits for the end of the command.
func (t *Terminal) End(ctx context.Context) error {
	return t.until(ctx, func() bool { return !t.running })
}

// Comes waits until lines after the first skipped are as shown, and returns how many of all have come then; -1 if the command ended before.
func (t *Terminal) Comes(ctx context.Context, skipped int, shown []string, out func(string) string) int {
	ends := -1
	t.until(ctx, func() bool {
		ends, _, _ = match(shown, t.after(skipped, out), false)
		return ends >= 0 || !t.running
	})
	if ends < 0 {
		return -1
	}
	return skipped + ends
}

// after is what came after the first skipped lines. The caller holds mu.
func (t *Terminal) after(skipped int, out func(string) string) []string {
	lines := slices.Clone(t.lines[skipped:])
	for i := range lines {
		lines[i] = out(lines[i])
	}
	return lines
}

// Lines are those that came after the first skipped, and the exit code of the last command.
func (t *Terminal) Lines(skipped int, out func(string) string) ([]string, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.after(skipped, out), t.exit
}

// until waits for a condition, which is asked for with mu held, at each change.
func (t *Terminal) until(ctx context.Context, condition func() bool) error {
	for {
		t.mu.Lock()
		ok, gone, changed := condition(), t.gone, t.changed
		t.mu.Unlock()
		switch {
		case ok:
			return nil
		case gone:
			return fmt.Errorf("the shell has ended")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Close ends the shell and all that it started, and waits.
func (t *Terminal) Close() error {
	if t.closed {
		return nil
	}
	t.closed = true
	syscall.Kill(-t.cmd.Process.Pid, syscall.SIGKILL)
	t.cmd.Wait()
	t.control.Close()
	t.input.Close()
	t.output.SetReadDeadline(time.Now().Add(5 * time.Second)) // for those that left the shell's group
	<-t.read
	return t.output.Close()
}
