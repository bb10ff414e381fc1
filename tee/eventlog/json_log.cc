#include "tee/eventlog/json_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"

namespace coffer::eventlog {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxEvents = 65536;
constexpr std::uint64_t kRtmrs = 4;
constexpr JsonLimits kLimits{.max_bytes = std::size_t{16} << 20U, .max_depth = 8};

std::unexpected<Error> bad(std::string_view field, std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("{}: {}", field, why));
}

// The member under the first of its names that is there, or null.
const Json* member(const Json& event, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto at = event.find(name);
    if (at != event.end()) return &*at;
  }
  return nullptr;
}

Result<std::string> text_member(const Json& event, std::initializer_list<const char*> names) {
  const Json* value = member(event, names);
  if (value == nullptr) return std::string();
  if (!value->is_string()) return bad(*names.begin(), "is not a string");
  return value->get<std::string>();
}

Result<Bytes> hex_member(const Json& event, std::initializer_list<const char*> names) {
  COFFER_TRY(const std::string text, text_member(event, names));
  auto bytes = from_hex(text);
  if (!bytes) return fail(std::move(bytes.error()).with_context(*names.begin()));
  return *std::move(bytes);
}

Result<std::uint32_t> type_member(const Json& event) {
  constexpr const char* kName = "event_type";
  const Json* value = member(event, {kName});
  if (value == nullptr) return bad(kName, "is missing");
  std::uint64_t number = 0;
  if (value->is_number_unsigned()) {
    number = value->get<std::uint64_t>();
  } else {
    const auto* text = value->get_ptr<const std::string*>();
    if (text == nullptr || !text->starts_with("0x")) return bad(kName, "is no number");
    const auto [at, error] =
        std::from_chars(text->data() + 2, text->data() + text->size(), number, 16);
    if (error != std::errc() || at != text->data() + text->size()) {
      return bad(kName, "is no number");
    }
  }
  if (number > UINT32_MAX) return bad(kName, "has more than 32 bits");
  return static_cast<std::uint32_t>(number);
}

Result<std::uint32_t> register_index(const Json& event) {
  const Json* value = member(event, {"imr", "rtmr"});
  if (value == nullptr || !value->is_number_unsigned() || value->get<std::uint64_t>() >= kRtmrs) {
    return bad("imr", "want a number from 0 to 3");
  }
  return value->get<std::uint32_t>() + 1;
}

// u32le(type) || ":" || name || ":" || payload
Bytes application_data(std::uint32_t type, const ApplicationEvent& event) {
  Bytes out;
  for (unsigned shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<std::uint8_t>(type >> shift));
  }
  out.push_back(':');
  const BytesView name = as_bytes(event.name);
  out.insert(out.end(), name.begin(), name.end());
  out.push_back(':');
  out.insert(out.end(), event.payload.begin(), event.payload.end());
  return out;
}

// A separator that came without its data is still one of a good boot when its digest says so.
Result<Bytes> restored_data(std::uint32_t type, BytesView digest) {
  if (type != kEvSeparator) return Bytes();
  Bytes zeros(4);
  COFFER_TRY(const Bytes good, hash(Alg::kSha384, zeros));
  if (std::ranges::equal(good, digest)) return zeros;
  return Bytes();
}

class Builder {
 public:
  Status add(const Json& json) {
    if (!json.is_object()) return bad("event", "is not an object");
    if (out_.log.events.size() == kMaxEvents) {
      return fail(Code::kResourceExhausted, fmt::format("more than {} events", kMaxEvents));
    }
    Event event;
    COFFER_TRY(event.index, register_index(json));
    COFFER_TRY(event.type, type_member(json));
    COFFER_TRY(Bytes digest, hex_member(json, {"digest"}));
    COFFER_TRY(Bytes payload, hex_member(json, {"event_payload", "payload"}));
    COFFER_TRY(Bytes data, event.type == kEvDstack ? add_application(json, std::move(payload))
                                                   : boot_data(event, digest, std::move(payload)));
    if (event.type == kEvDstack && digest.empty()) {
      COFFER_TRY(digest, hash(Alg::kSha384, data));
    }
    if (digest.size() != alg_size(Alg::kSha384)) return bad("digest", "want 96 hex digits");
    event.data = keep(std::move(data));
    event.digests.push_back({Alg::kSha384, keep(std::move(digest))});
    out_.log.events.push_back(std::move(event));
    return {};
  }

  ReadLog finish() && {
    out_.log.crypto_agile = true;
    out_.log.algs = {Alg::kSha384};
    return std::move(out_);
  }
  [[nodiscard]] std::size_t count() const { return out_.log.events.size(); }

 private:
  Result<Bytes> add_application(const Json& json, Bytes payload) {
    const Json* version = member(json, {"version"});
    if (version != nullptr && *version != "v1") {
      return fail(Code::kUnimplemented, "version: application events of another version than v1");
    }
    ApplicationEvent event{.name = {}, .payload = std::move(payload)};
    COFFER_TRY(event.name, text_member(json, {"event", "name"}));
    Bytes data = application_data(kEvDstack, event);
    out_.application.emplace(count(), std::move(event));
    return data;
  }

  static Result<Bytes> boot_data(Event& event, BytesView digest, Bytes payload) {
    if (!payload.empty()) return payload;
    COFFER_TRY(Bytes data, restored_data(event.type, digest));
    event.data_known = !data.empty();
    return data;
  }

  // The heap block stays where it is when the outer vector grows or moves.
  BytesView keep(Bytes bytes) { return out_.storage.emplace_back(std::move(bytes)); }

  ReadLog out_;
};

// The array of events: the document itself, or a member of it, there possibly as text.
Result<Json> events_of(BytesView bytes) {
  COFFER_TRY(Json document, parse_json(as_text(bytes), "event log", kLimits));
  if (document.is_object()) {
    const Json* events = member(document, {"event_log", "events"});
    if (events == nullptr) return bad("event_log", "is missing");
    if (events->is_string()) {
      COFFER_TRY(Json inner,
                 parse_json(events->get_ref<const std::string&>(), "event log", kLimits));
      return inner;
    }
    return Json(*events);
  }
  return document;
}

}  // namespace

bool looks_like_json(BytesView bytes) {
  return !bytes.empty() && (bytes[0] == '[' || bytes[0] == '{');
}

Result<ReadLog> parse_json_log(BytesView bytes) {
  COFFER_TRY(const Json events, events_of(bytes));
  if (!events.is_array()) {
    return fail(Code::kInvalidArgument, "parse event log: want an array of events");
  }
  Builder builder;
  for (const Json& event : events) {
    if (auto status = builder.add(event); !status) {
      return fail(std::move(status.error())
                      .with_context(fmt::format("parse event log: event {}", builder.count())));
    }
  }
  return std::move(builder).finish();
}

Result<ReadLog> read_event_log(BytesView bytes) {
  if (looks_like_json(bytes)) return parse_json_log(bytes);
  ReadLog out;
  COFFER_TRY(out.log, parse_event_log(bytes));
  return out;
}

}  // namespace coffer::eventlog
