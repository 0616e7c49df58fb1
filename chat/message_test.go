package chat

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"echows/broker"
)

func FuzzDecodePost(f *testing.F) {
	for _, seed := range []string{
		`{"type":"post","id":"1","text":"hello"}`, ` {"text":"\ud800","id":"\u0000","type":"post"} `, `{"type":"post","type":"post"}`,
		`{"type":"post","id":"1","text":"a"}}`, `{"a":{"b":[1,2,{"c":null}]}}`, `[`, ``, `{"type":"post","id":1e999}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, bad := decodePost(data)
		if bad != nil {
			if bad.Type != "error" || bad.Code == "" || bad.Message == "" || len(bad.Message) > 500 {
				t.Errorf("%q is refused as %+v", data, bad)
			}
			return
		}
		if n := utf8.RuneCountInString(p.text); n < 1 || n > maxText || strings.ContainsRune(p.text, 0) || !utf8.ValidString(p.text) {
			t.Errorf("a text of %d characters: %q", n, p.text)
		}
		if n := utf8.RuneCountInString(p.id); n < 1 || n > maxID {
			t.Errorf("an id of %d characters: %q", n, p.id)
		}
	})
}

func FuzzCleanName(f *testing.F) {
	for _, seed := range []string{"ana", " e\u0301va  x ", "👩‍👩‍👧", "❤️", "a\u200db", "\u202ex", "علی\u200cرضا", "\ufe0f", "\xff", "ａ\u0301", "𝐚ſ\u0307"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		clean, err := CleanName(name)
		if err != nil {
			return
		}
		if n := utf8.RuneCountInString(clean); n < 1 || n > maxName || !norm.NFC.IsNormalString(clean) || !visible(clean) {
			t.Errorf("%q became %q", name, clean)
		}
		if again, err := CleanName(clean); err != nil || again != clean {
			t.Errorf("%q became %q, and then %q, %v", name, clean, again, err)
		}
	})
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"ana":                     "ana",
		" e\u0301va \t x\u00a0y ": "éva x y",
		"👩\u200d👩\u200d👧":         "👩\u200d👩\u200d👧",
		"❤\ufe0f":                 "❤\ufe0f",
		"علی\u200cرضا":            "علی\u200cرضا",
		"नमस्\u200dते":            "नमस्\u200dते",
		"李小龍":                     "李小龍",
		"":                        "",
		"\u200b":                  "",
		"a\u200db":                "",
		"a\u200d":                 "",
		"a\u202eb":                "",
		"a\u00adb":                "",
		"a\ufe0f":                 "",
		"\u3164":                  "",
		"\u2800":                  "",
		"a\x00b":                  "",
		"\xff":                    "",
		"a\U000e0041":             "",
		"o'Hara-Łódź":             "o'Hara-Łódź",
		"`bo' «left»":             "`bo' «left»",
		"bo\" left":               "bo\" left",
		"“bo":                     "",
		"bo”":                     "",
		"„bo":                     "",
		"‟bo":                     "",
		"bo＂":                     "", // wide
		"bo″":                     "",
		"Аня":                     "Аня",
		"Аня Smith":               "Аня Smith",
		"Ελένη 2":                 "Ελένη 2",
		"李Lee":                    "李Lee",
		"abc한글ひらカタ":               "abc한글ひらカタ",
		"µs":                      "µs", // the sign, not the letter
		"ａｎａ\u3000２":              "ana 2",
		"𝐚𝐧𝐚 𝛂𝛃":                  "ana αβ",
		"ａ\u0301":                 "á",
		"𝐚на":                     "",
		"½ № Mª ㅋㅋ ⓐ ｱ ﷲ":         "½ № Mª ㅋㅋ ⓐ ｱ ﷲ",
		"аna":                     "", // a Cyrillic а
		"anа2":                    "",
		"bob οne":                 "", // a Greek ο
		"x аna":                   "",
		"Ελеνη":                   "", // a Cyrillic е
	} {
		got, err := CleanName(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%+q became %+q, %v; want %+q", name, got, err, want)
		}
	}
}

// Triples that are nearly alike have ids of their own.
func TestUniqueIDs(t *testing.T) {
	seen := map[string]bool{}
	for _, triple := range [][3]string{{"a", "b", "c"}, {"a", "b", "\x00c"}, {"ab", "", "c"}, {"a", "bc", ""}, {"b", "a", "c"}} {
		seen[uniqueID(triple[0], triple[1], triple[2])] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d ids for 5 messages", len(seen))
	}
}

func TestGlance(t *testing.T) {
	far := strings.Repeat("a", 2*glanceSize)
	for data, want := range map[string]glimpse{
		``:                                       {},
		`{`:                                      {},
		`[{"id":"1"}]`:                           {},
		`{"id":"1"`:                              {id: "1"},
		`{"id":"1"}`:                             {id: "1"},
		`{"id":1,"text":""}`:                     {},
		`{"id":"","text":"a"}`:                   {isPost: true},
		`{"id":"\u0000","text":"a"}`:             {isPost: true},
		`{"type":"post","id":"1","text":"a"}`:    {"1", true},
		`{"text":"a","id":"1","type":"post"}`:    {"1", true},
		`{"type":"typing","id":"1","text":"a"}`:  {},
		`{"a":{"id":"1"},"text":"a"}`:            {},
		`{"type":"post","id":"1","text":"` + far: {"1", true},
		`{"type":"post","text":"` + far + `","id":1}`: {isPost: true},
		`{"id":"` + far:                {},
		`{"a":"` + far + `","id":"1"}`: {},
	} {
		if got := glance([]byte(data)); got != want {
			t.Errorf("%.60s: %+v, want %+v", data, got, want)
		}
	}
}

// A message that was stored before there were marks can be read.
func TestAMessageWithoutAMark(t *testing.T) {
	m, err := decodeStored(broker.Entry{Topic: "lobby", Seq: 7, Data: []byte(`{"id":"1","from":"ana","text":"old","at":"2026-01-02T03:04:05Z"}`)})
	if err != nil || m.Seq != 7 || m.From != "ana" || m.Mark != "" {
		t.Errorf("%+v, %v", m, err)
	}
}
