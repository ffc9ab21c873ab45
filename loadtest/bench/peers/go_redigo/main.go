// Peer: Go's net/http and redigo, one EVALSHA for each claim over a connection pool. Trusts every identity.
//
//	main PORT SOCKET SCRIPT
package main

import (
	"encoding/json"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

type claim struct {
	Round     string `json:"round"`
	ID        string `json:"id"`
	Serial    int    `json:"serial"`
	ClaimedAt string `json:"claimed_at"`
}

type answer struct {
	Claim    claim `json:"claim"`
	Replayed bool  `json:"replayed"`
}

type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
}

type server struct {
	pool       *redis.Pool
	script     *redis.Script
	idPrefixes sync.Map
}

// The prefix of a round's claim ids never changes, so it is read once.
func (s *server) idPrefix(conn redis.Conn, round string) (string, error) {
	if known, ok := s.idPrefixes.Load(round); ok {
		return known.(string), nil
	}
	prefix, err := redis.String(conn.Do("HGET", "peer:round:"+round, "id_prefix"))
	if err == nil {
		s.idPrefixes.Store(round, prefix)
	}
	return prefix, err
}

func (s *server) claim(w http.ResponseWriter, r *http.Request) {
	round := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v1/rounds/"), "/claims")
	if r.Method != http.MethodPost || strings.Contains(round, "/") {
		http.NotFound(w, r)
		return
	}
	conn := s.pool.Get()
	defer conn.Close()
	reply, err := redis.Strings(
		s.script.Do(conn, "peer:round:"+round, "peer:claims:"+round, r.Header.Get("Authorization")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	outcome, stored := reply[0], reply[1]
	if stored == "" {
		refuse(w, outcome)
		return
	}
	prefix, err := s.idPrefix(conn, round)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	number, millis, _ := strings.Cut(stored, ":")
	serial, _ := strconv.Atoi(number)
	claimedAtMs, _ := strconv.ParseInt(millis, 10, 64)
	status := http.StatusCreated
	if outcome == "replayed" {
		status = http.StatusOK
	}
	send(w, status, "application/json", answer{
		Claim: claim{
			Round:     round,
			ID:        prefix + "-" + number,
			Serial:    serial,
			ClaimedAt: time.UnixMilli(claimedAtMs).UTC().Format("2006-01-02T15:04:05.000Z"),
		},
		Replayed: outcome == "replayed",
	})
}

func refuse(w http.ResponseWriter, code string) {
	status := http.StatusConflict
	if code == "round_not_found" {
		status = http.StatusNotFound
	}
	send(w, status, "application/problem+json", problem{
		Type:   "urn:claimd:problem:" + code,
		Title:  "Every pack of this round has been claimed.",
		Status: status,
		Code:   code,
	})
}

func send(w http.ResponseWriter, status int, contentType string, document any) {
	body, err := json.Marshal(document)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	w.Write(body)
}

func main() {
	port, socket := os.Args[1], os.Args[2]
	source, err := os.ReadFile(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	s := &server{
		pool: &redis.Pool{
			MaxIdle:     128,
			IdleTimeout: time.Minute,
			Dial:        func() (redis.Conn, error) { return redis.Dial("unix", socket) },
		},
		script: redis.NewScript(2, string(source)),
	}
	http.HandleFunc("/v1/rounds/", s.claim)
	log.Fatal(http.ListenAndServe(net.JoinHostPort("127.0.0.1", port), nil))
}
