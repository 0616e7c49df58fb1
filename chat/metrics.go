package chat

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"echows/internal/reached"
)

// Results of a post, besides the codes of refusals.
const (
	postStored   = "stored"
	postRepeated = "repeated"
)

// The names of the limits in their counter.
const (
	limitPosts        = "posts"             // of one connection, or of one session by requests
	limitAddressPosts = "address_posts"     // of one address
	limitConnects     = "address_connects"  // upgrades and tickets of one address
	limitReads        = "address_reads"     // requests of one address that read
	limitSessions     = "address_sessions"  // sessions that one address begins
	limitSignOuts     = "address_sign_outs" // sessions that one address ends
	limitTickets      = "tickets"           // of one node

	limitAddressTickets = "address_tickets" // unused ones of one address
	limitAnswers        = "answers"         // with older messages, in progress
	limitAddressAnswers = "address_answers" // the same of one address
	limitBody           = "body"            // of a request for a session or a ticket
	limitEnded          = "ended_sessions"  // endedBytes
)

// counters are what a Chat counts. They need not be fast: each post waits for a disk, and everything else that is counted
// is rarer or as slow.
type counters struct {
	posts       map[string]*atomic.Uint64 // by result; the map does not change
	limits      reached.Limits
	postSeconds prometheus.Histogram

	histories            atomic.Uint64
	complete, incomplete atomic.Uint64 // recoveries

	ticketsIssued, ticketsRedeemed, ticketsRefused atomic.Uint64
	sessionsBegun, sessionsEnded, sessionsRefused  atomic.Uint64
}

func newCounters() *counters {
	return &counters{
		posts: named(postStored, postRepeated, codeBadJSON.name, codeUnknownType.name, codeBadText.name, codeBadID.name,
			codeRateLimited.name, codeUnavailable.name),
		limits: named(limitPosts, limitAddressPosts, limitConnects, limitReads, limitSessions, limitSignOuts, limitTickets,
			limitAddressTickets, limitAnswers, limitAddressAnswers, limitBody, limitEnded),
		postSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "echows_chat_post_seconds",
			Help:    "Time from a post to its acknowledgement, if it was stored.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
}

func named(names ...string) map[string]*atomic.Uint64 {
	all := map[string]*atomic.Uint64{}
	for _, name := range names {
		all[name] = new(atomic.Uint64)
	}
	return all
}

// post counts a post by its result.
func (n *counters) post(result string) { n.posts[result].Add(1) }

// reached counts a limit that refused something.
func (n *counters) reached(limit string) { n.limits[limit].Add(1) }

// stored counts a post that is about to be acknowledged.
func (n *counters) stored(since time.Time, before bool) {
	if before {
		n.post(postRepeated)
		return
	}
	n.post(postStored)
	n.postSeconds.Observe(time.Since(since).Seconds())
}

// recovered counts a connection that came back and received its history.
func (n *counters) recovered(complete bool) {
	if complete {
		n.complete.Add(1)
	} else {
		n.incomplete.Add(1)
	}
}

var (
	descRooms      = describe("echows_chat_rooms", "Chat rooms that are open on this node.")
	descMembers    = describe("echows_chat_members", "Chat connections in rooms of this node.")
	descPosts      = describe("echows_chat_posts_total", "Posts, by result.", "result")
	descRecoveries = describe("echows_chat_recoveries_total", "Connections that resumed after a sequence, by whether their history had everything they missed.", "result")
	descHistories  = describe("echows_chat_histories_total", "Pages of histories sent.")
	descTickets    = describe("echows_chat_tickets_total", "Tickets, by what happened to them.", "result")
	descSessions   = describe("echows_chat_sessions_total", "Sessions begun, ended by their users, or refused when presented.", "event")

	descBehind  = describe("echows_archive_behind_seconds", "Seconds that the oldest message not yet in the database has been waiting.")
	descGaps    = describe("echows_archive_gaps", "Ranges of sequences whose messages are missing in the database.")
	descMissing = describe("echows_archive_missing_messages", "Upper bound of the messages missing in the database.")
	descCopied  = describe("echows_archive_copied_total", "Messages copied into the database.")
	descArchive = describe("echows_archive_up", "1 while the database accepts messages.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Collector returns a collector of the Chat's metrics. It may be used until Close.
func (c *Chat) Collector() prometheus.Collector { return collector{c} }

type collector struct{ chat *Chat }

func (c collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descRooms, descMembers, descPosts, descRecoveries, descHistories, descTickets, descSessions,
		descBehind, descGaps, descMissing, descCopied, descArchive, c.chat.counts.postSeconds.Desc()} {
		descs <- d
	}
	c.chat.counts.limits.Describe(descs)
}

func (c collector) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	count := func(d *prometheus.Desc, n *atomic.Uint64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n.Load()), labels...)
	}
	n := c.chat.counts
	gauge(descRooms, float64(c.chat.Rooms()))
	gauge(descMembers, float64(c.chat.presence.members()))
	for result, posts := range n.posts {
		count(descPosts, posts, result)
	}
	metrics <- n.postSeconds
	count(descHistories, &n.histories)
	count(descRecoveries, &n.complete, "complete")
	count(descRecoveries, &n.incomplete, "incomplete")
	count(descTickets, &n.ticketsIssued, "issued")
	count(descTickets, &n.ticketsRedeemed, "redeemed")
	count(descTickets, &n.ticketsRefused, "refused")
	count(descSessions, &n.sessionsBegun, "begun")
	count(descSessions, &n.sessionsEnded, "ended")
	count(descSessions, &n.sessionsRefused, "refused")
	n.limits.Collect(metrics)
	archived := c.chat.Archive()
	if c.chat.archive == nil || archived.Known { // a zero that only means "not known yet" would make known gaps look new
		gauge(descBehind, archived.Behind.Seconds())
		gauge(descGaps, float64(archived.Gaps))
		gauge(descMissing, float64(archived.Missing))
	}
	metrics <- prometheus.MustNewConstMetric(descCopied, prometheus.CounterValue, float64(archived.Copied))
	switch {
	case c.chat.archive == nil:
	case archived.Up:
		gauge(descArchive, 1)
	default:
		gauge(descArchive, 0)
	}
}
