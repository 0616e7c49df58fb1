package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Message is a posted message, as it is stored and sent.
type Message struct {
	Seq  uint64    `json:"seq,omitempty"` // rises within the room; not part of what is stored
	ID   string    `json:"id"`            // the client's own
	From string    `json:"from"`          // the display name
	Mark string    `json:"mark"`          // User.Mark; "" if it was stored without one
	Text string    `json:"text"`
	At   time.Time `json:"at"` // when it was posted, UTC
}

const (
	maxText = 2000 // characters, as are the following
	maxID   = 64
	maxName = 32

	maxPost    = 16 << 10 // bytes of a post as it is sent; the longest needs 12 KB, unless it is written in escapes
	glanceSize = 1 << 10  // bytes that glance looks at
)

const tooLong = "a message has at most 16 KiB; send its text as UTF-8, without escapes"

// post is a message that a client posts.
type post struct{ id, text string }

// decodePost reads a client's message strictly: an object with the fields of its type, each once and
// of its type, and nothing after it.
func decodePost(data []byte) (post, *refusal) {
	fields, err := decodeFields(data)
	if err != nil {
		return post{}, refuse(codeBadJSON, err.Error())
	}
	if kind, _ := fields["type"].(string); kind != "post" {
		return post{}, refuse(codeUnknownType, `the type must be "post"`)
	}
	delete(fields, "type")
	return postOf(fields)
}

// postOf reads a post from an object's fields.
func postOf(fields map[string]any) (post, *refusal) {
	for name := range fields {
		if name != "id" && name != "text" {
			return post{}, refuse(codeBadJSON, fmt.Sprintf("a post has no field %.40q", name))
		}
	}
	var p post
	var ok bool
	if p.id, ok = fields["id"].(string); !ok || !validID(p.id) {
		return post{}, refuse(codeBadID, fmt.Sprintf("the id must be a string of 1 to %d characters, not blank, without control characters", maxID))
	}
	if p.text, ok = fields["text"].(string); !ok || !validText(p.text) {
		r := refuse(codeBadText, fmt.Sprintf("the text must be a string of 1 to %d characters, not blank, without control characters", maxText))
		r.ID = p.id
		return post{}, r
	}
	return p, nil
}

// glimpse is what can be guessed about a message without decoding it.
type glimpse struct {
	id     string // if it is valid
	isPost bool
}

// glance reads the beginning of a message.
func glance(data []byte) (seen glimpse) {
	d := json.NewDecoder(bytes.NewReader(data[:min(len(data), glanceSize)]))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return seen
	}
	for {
		name, err := d.Token()
		if err != nil {
			return seen
		}
		seen.isPost = seen.isPost || name == "text"
		value, err := d.Token()
		text, ok := value.(string)
		switch {
		case err != nil || !ok:
			return seen
		case name == "id" && validID(text):
			seen.id = text
		case name == "type" && text != "post":
			return glimpse{}
		}
	}
}

// decodeFields reads a JSON object strictly: encoding/json accepts a field twice, and matches names regardless of
// case.
func decodeFields(data []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil, fmt.Errorf("a message must be one JSON object")
	}
	fields := map[string]any{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, fmt.Errorf("this is not JSON")
		}
		if _, twice := fields[name]; twice {
			return nil, fmt.Errorf("the field %.40q appears twice", name)
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("this is not JSON")
		}
		fields[name] = value
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, fmt.Errorf("this is not JSON")
	}
	if rest := bytes.TrimLeft(data[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, fmt.Errorf("a message must be one JSON object, with nothing after it")
	}
	return fields, nil
}

func validID(id string) bool {
	return visible(id) && utf8.RuneCountInString(id) <= maxID && !strings.ContainsFunc(id, unicode.IsControl)
}

func validText(text string) bool {
	return visible(text) && utf8.RuneCountInString(text) <= maxText && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
	})
}

// visible reports whether s has a character that can be seen.
func visible(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsSpace(r) && !invisible(r) && !unicode.IsControl(r) })
}

// invisible reports whether r has no width and no ink, so that it could make two different names look the same:
// format characters, and those that Unicode calls default-ignorable.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Zl, unicode.Zp) || r == '\u2800'
}

// CleanName normalizes a display name (NFC, plain forms of letters and digits, one space between words, none around it), or
// says what is wrong with it. A name has 1 to 32 characters, all of them visible. It may contain the joiners that emoji and some
// scripts need. It may not contain typographic double quotation marks, because announcements put names between
// them, or a word that mixes letters of scripts that look alike.
func CleanName(name string) (string, error) {
	if !utf8.ValidString(name) {
		return "", fmt.Errorf("the name is not UTF-8")
	}
	clean := norm.NFC.String(strings.Map(plainForm, strings.Join(strings.Fields(name), " ")))
	runes := []rune(clean)
	for i, r := range runes {
		good := unicode.IsPrint(r) && !invisible(r)
		if i > 0 && i < len(runes)-1 && joins(r) {
			good = joinable(runes[i-1]) && joinable(runes[i+1])
		}
		if i > 0 && r == '\ufe0f' { // shows the character before it as an emoji
			good = unicode.Is(unicode.So, runes[i-1]) || unicode.Is(unicode.Sm, runes[i-1])
		}
		if !good {
			return "", fmt.Errorf("the name contains an invisible character, %U; use letters, digits, symbols or emoji", r)
		}
	}
	if len(runes) == 0 || len(runes) > maxName {
		return "", fmt.Errorf("the name must have 1 to %d characters; this one has %d", maxName, len(runes))
	}
	if strings.ContainsAny(clean, quotes) {
		return "", fmt.Errorf("the name cannot contain double quotation marks such as “; announcements put the name between them")
	}
	for word := range strings.FieldsSeq(clean) {
		if mixed(word) {
			return "", fmt.Errorf("the word %s mixes Latin, Greek or Cyrillic letters, which look alike; use letters of one alphabet", word)
		}
	}
	return clean, nil
}

// plainForm returns the letter or digit that r is another form of, such as a fullwidth or a bold one, or r itself: ａｎａ and
// 𝐚𝐧𝐚 would look like ana. It leaves alone what NFKC changes besides: ½, №, Mª, µs and ㅋㅋ are not what it makes of them.
func plainForm(r rune) rune {
	if r > unicode.MaxLatin1 && unicode.In(r, unicode.Lu, unicode.Ll, unicode.Nd) {
		if plain := []rune(norm.NFKC.String(string(r))); len(plain) == 1 {
			return plain[0]
		}
	}
	return r
}

// quotes are the double quotation marks by which a name could seem to end, and those that look like them. The plain
// one looks different.
const quotes = "“”„‟″‶ʺ＂〝〞〟"

// mixed reports whether a word has letters of more than one of the scripts that look alike, the main concern of
// Unicode's restriction levels (UTS 39): аna with a Cyrillic а is nobody's name, 李Lee and abc한 may be. For a name in
// one script, such as оса, the mark makes the difference.
func mixed(word string) bool {
	scripts := 0
	for _, script := range []*unicode.RangeTable{unicode.Latin, unicode.Greek, unicode.Cyrillic} {
		if strings.ContainsFunc(word, func(r rune) bool { return unicode.Is(script, r) && unicode.IsLetter(r) }) {
			scripts++
		}
	}
	return scripts > 1
}

// joins reports whether r is the zero-width joiner or non-joiner.
func joins(r rune) bool { return r == '\u200d' || r == '\u200c' }

// joinable reports whether a joiner may stand beside r: an emoji, or a letter of a script whose letters change shape.
func joinable(r rune) bool {
	return r == '\ufe0f' || unicode.In(r, unicode.So, unicode.Sk, unicode.Arabic, unicode.Syriac, unicode.Devanagari, unicode.Bengali,
		unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam,
		unicode.Sinhala, unicode.Khmer, unicode.Mongolian)
}
