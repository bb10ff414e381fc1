// Event logs as JSON: what dstack's guest agent gives beside a quote, where each event names its
// RTMR and events of the application, which no CCEL holds, stand among those of the boot.
//
// Format: dstack, cc-eventlog (TdxEvent): [{"imr": 0..3, "event_type": N, "digest": HEX, "event":
// NAME, "event_payload": HEX}, ...], alone or as the member "event_log" of an answer, there also as
// text. "rtmr", "name", "payload" and "events" are read as other names of the same, and an
// event_type in hex as text. Payloads of boot events and digests of application events may be
// left out, as dstack does to save room.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/eventlog/event_log.h"

namespace coffer::eventlog {

// What an application measured while it ran.
struct ApplicationEvent {
  std::string name;
  Bytes payload;
};

// A log, and what its events point to beside the bytes that were read.
struct ReadLog {
  EventLog log;
  std::map<std::size_t, ApplicationEvent> application;  // by the event's place in the log
  std::vector<Bytes> storage;
};

// Whether `bytes` would be read as JSON; no TCG log begins so.
[[nodiscard]] bool looks_like_json(BytesView bytes);

// Events of RTMR N get the register index N + 1, as in a CCEL, and a SHA-384 digest; kEvDstack
// events the bytes that it is the hash of as their data. kInvalidArgument, with the event's number,
// on a member that is missing, of another type or out of range; kUnimplemented on another version
// of application events than the first; at most 65536 events.
[[nodiscard]] Result<ReadLog> parse_json_log(BytesView bytes);

// Either form: JSON by its first byte, else a TCG log. `bytes` must outlive the log.
[[nodiscard]] Result<ReadLog> read_event_log(BytesView bytes);

}  // namespace coffer::eventlog
