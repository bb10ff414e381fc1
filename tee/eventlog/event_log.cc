#include "tee/eventlog/event_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/byte_reader.h"

namespace coffer::eventlog {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kMaxEvents = 65536;
constexpr std::uint32_t kMaxAlgs = 16;
constexpr std::uint32_t kEndMarker = 0xffffffff;
constexpr std::size_t kSha1Size = 20;
constexpr std::string_view kSpecId03 = "Spec ID Event03\0"sv;
constexpr std::string_view kStartupLocality = "StartupLocality\0"sv;

struct DeclaredAlg {
  std::uint16_t id;
  std::uint16_t size;
};

// TCG_EfiSpecIDEvent after its signature.
Result<std::vector<DeclaredAlg>> parse_spec_id(BytesView data) {
  ByteReader reader(data, "Spec ID event");
  COFFER_TRY_VOID(
      reader.skip(kSpecId03.size() + 8));  // platform class, version, errata, uintn size
  COFFER_TRY(const std::uint32_t count, reader.u32_le());
  if (count == 0 || count > kMaxAlgs) {
    return fail(
        Code::kInvalidArgument,
        fmt::format("parse Spec ID event: algorithms: got {}, want 1 to {}", count, kMaxAlgs));
  }
  std::vector<DeclaredAlg> algs;
  for (std::uint32_t i = 0; i < count; ++i) {
    COFFER_TRY(const std::uint16_t id, reader.u16_le());
    COFFER_TRY(const std::uint16_t size, reader.u16_le());
    const auto known = alg_size(Alg{id});
    if (known && *known != size) {
      return fail(Code::kInvalidArgument,
                  fmt::format("parse Spec ID event: digest size of {}: got {}, want {}",
                              alg_name(Alg{id}), size, *known));
    }
    if (std::ranges::find(algs, id, &DeclaredAlg::id) != algs.end()) {
      return fail(Code::kInvalidArgument,
                  fmt::format("parse Spec ID event: algorithm {:#06x} stands twice", id));
    }
    algs.push_back({id, size});
  }
  COFFER_TRY(const std::uint8_t vendor_size, reader.u8());
  COFFER_TRY_VOID(reader.skip(vendor_size));
  COFFER_TRY_VOID(reader.expect_end());
  return algs;
}

// A TCG_PCR_EVENT: index and type were read already.
Result<Event> parse_legacy_event(ByteReader& reader, std::uint32_t index, std::uint32_t type) {
  Event event{.index = index, .type = type, .digests = {}, .data = {}};
  COFFER_TRY(const BytesView sha1, reader.take(kSha1Size));
  event.digests.push_back({Alg::kSha1, sha1});
  COFFER_TRY(const std::uint32_t size, reader.u32_le());
  COFFER_TRY(event.data, reader.take(size));
  return event;
}

// A TCG_PCR_EVENT2.
Result<Event> parse_agile_event(ByteReader& reader, std::uint32_t index, std::uint32_t type,
                                const std::vector<DeclaredAlg>& algs) {
  Event event{.index = index, .type = type, .digests = {}, .data = {}};
  COFFER_TRY(const std::uint32_t count, reader.u32_le());
  if (count > algs.size()) {
    return fail(Code::kInvalidArgument,
                fmt::format("digests: got {}, want at most the {} that the header declares", count,
                            algs.size()));
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    COFFER_TRY(const std::uint16_t id, reader.u16_le());
    const auto alg = std::ranges::find(algs, id, &DeclaredAlg::id);
    if (alg == algs.end()) {
      return fail(Code::kInvalidArgument,
                  fmt::format("digest algorithm {:#06x}: not declared in the header", id));
    }
    if (!event.digest(Alg{id}).empty()) {
      return fail(Code::kInvalidArgument, fmt::format("digest algorithm {:#06x}: given twice", id));
    }
    COFFER_TRY(const BytesView value, reader.take(alg->size));
    event.digests.push_back({Alg{id}, value});
  }
  COFFER_TRY(const std::uint32_t size, reader.u32_le());
  COFFER_TRY(event.data, reader.take(size));
  return event;
}

bool is_spec_id(const Event& event) {
  return event.type == kEvNoAction && as_text(event.data).starts_with(kSpecId03);
}

void note_locality(const Event& event, EventLog& log) {
  if (event.index != 0 || event.type != kEvNoAction || log.startup_locality) return;
  if (event.data.size() != kStartupLocality.size() + 1) return;
  if (as_text(event.data).starts_with(kStartupLocality)) log.startup_locality = event.data.back();
}

// Fewer bytes than a record's first fields: padding, or a record that was cut.
Status expect_padding(BytesView rest) {
  const bool padding = std::ranges::all_of(rest, [](auto b) { return b == 0 || b == 0xff; });
  if (padding) return {};
  return fail(Code::kInvalidArgument,
              fmt::format("{} bytes left, which are no record", rest.size()));
}

struct Parser {
  ByteReader reader;
  EventLog log;
  std::vector<DeclaredAlg> algs;

  // False at the end of the log.
  Result<bool> next() {
    if (reader.remaining() < 8) {
      COFFER_TRY_VOID(expect_padding(reader.rest()));
      return false;
    }
    COFFER_TRY(const std::uint32_t index, reader.u32_le());
    COFFER_TRY(const std::uint32_t type, reader.u32_le());
    if (index == kEndMarker || (index == 0 && type == 0)) return false;
    if (log.events.size() == kMaxEvents) {
      return fail(Code::kResourceExhausted, fmt::format("more than {} events", kMaxEvents));
    }
    COFFER_TRY(Event event, log.crypto_agile ? parse_agile_event(reader, index, type, algs)
                                             : parse_legacy_event(reader, index, type));
    note_locality(event, log);
    log.events.push_back(std::move(event));
    return true;
  }

  // The first record tells the format, and is no event when it is a Spec ID.
  Status first() {
    COFFER_TRY(const bool some, next());
    if (some && is_spec_id(log.events.front())) {
      COFFER_TRY(algs, parse_spec_id(log.events.front().data));
      log.crypto_agile = true;
      log.events.clear();
    } else {
      algs = {{static_cast<std::uint16_t>(Alg::kSha1), kSha1Size}};
    }
    for (const auto& alg : algs) log.algs.push_back(Alg{alg.id});
    return {};
  }
};

}  // namespace

BytesView Event::digest(Alg alg) const {
  const auto it = std::ranges::find(digests, alg, &Digest::alg);
  return it == digests.end() ? BytesView{} : it->value;
}

Result<EventLog> parse_event_log(BytesView bytes) {
  Parser parser{ByteReader(bytes, "event log"), {}, {}};
  std::size_t start = 0;
  const auto at = [&](Error error) {
    return std::unexpected(std::move(error).with_context(
        fmt::format("parse event log: event {} at offset {}", parser.log.events.size(), start)));
  };
  if (auto status = parser.first(); !status) return at(std::move(status).error());
  while (true) {
    start = parser.reader.offset();
    auto more = parser.next();
    if (!more) return at(std::move(more).error());
    if (!*more) break;
  }
  return std::move(parser.log);
}

Result<Registers> replay(const EventLog& log, Alg alg, bool apply_locality) {
  const auto size = alg_size(alg);
  if (!size) return fail(Code::kUnimplemented, "replay event log: unknown algorithm");
  Registers registers;
  for (const auto& event : log.events) {
    if (event.type == kEvNoAction) continue;
    const BytesView digest = event.digest(alg);
    if (digest.empty()) {
      return fail(Code::kFailedPrecondition,
                  fmt::format("replay event log: a {} event of register {} has no {} digest",
                              event_type_name(event.type), event.index, alg_name(alg)));
    }
    auto [it, fresh] = registers.try_emplace(event.index, Bytes(*size));
    if (fresh && event.index == 0 && apply_locality && log.startup_locality) {
      it->second.back() = *log.startup_locality;
    }
    COFFER_TRY(it->second, extend(alg, it->second, digest));
  }
  return registers;
}

}  // namespace coffer::eventlog
