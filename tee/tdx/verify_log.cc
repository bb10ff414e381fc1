#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tee/eventlog/event_log.h"
#include "tee/eventlog/json_log.h"
#include "tee/tdx/verify_parts.h"

namespace coffer::tdx {
namespace {

using eventlog::Alg;

constexpr std::string_view kCcel =
    "UEFI 2.10, section 38.4.1 (CC measurement registers: index 1 to 4 is RTMR0 to RTMR3)";
constexpr std::string_view kSeparator = "TCG PC Client Platform Firmware Profile rev. 1.06, 3.3.4";
constexpr std::size_t kMaxData = 256;

void check_registers(const eventlog::Registers& registers, const TdBody& td,
                     tee::Verdict& verdict) {
  for (std::size_t i = 0; i < td.rtmr.size(); ++i) {
    const auto it = registers.find(static_cast<std::uint32_t>(i) + 1);
    const Bytes replayed = it == registers.end() ? Bytes(td.rtmr[i].size()) : it->second;
    verdict.add_equal(fmt::format("event_log.rtmr_{}", i), to_hex(td.rtmr[i]), to_hex(replayed),
                      kCcel);
  }
  for (const auto& [index, value] : registers) {
    if (index <= td.rtmr.size()) continue;
    verdict.add("event_log.registers", false, "registers 0 to 4", fmt::format("register {}", index),
                kCcel);
  }
}

void check_semantics(const eventlog::EventLog& log, const Expectations& want,
                     tee::Verdict& verdict) {
  std::vector<std::string> problems = eventlog::anomalies(log, Alg::kSha384);
  if (want.allow_duplicate_separator) {
    const auto removed =
        std::erase_if(problems, [](const auto& p) { return p.contains("second separator"); });
    if (removed > 0) {
      verdict.add_waived("event_log.separators", "a second separator", "allow_duplicate_separator");
    }
  }
  verdict.add("event_log.semantics", problems.empty(), "one separator a register, honest data",
              problems.empty() ? "as expected" : fmt::format("{}", fmt::join(problems, "; ")),
              kSeparator);
}

// Events with what their digests bear out: "data_authentic" is null where the type does not say.
nlohmann::json events_json(const eventlog::ReadLog& read) {
  auto events = nlohmann::json::array();
  for (std::size_t i = 0; i < read.log.events.size(); ++i) {
    const auto& event = read.log.events[i];
    const auto authentic = eventlog::digest_matches_data(event, Alg::kSha384);
    events.push_back(
        {{"register", event.index},
         {"type", eventlog::event_type_name(event.type)},
         {"digest", to_hex(event.digest(Alg::kSha384))},
         {"data", to_hex(event.data.first(std::min(kMaxData, event.data.size())))},
         {"data_authentic", authentic ? nlohmann::json(*authentic) : nlohmann::json(nullptr)}});
    const auto application = read.application.find(i);
    if (application != read.application.end()) events.back()["name"] = application->second.name;
  }
  return events;
}

}  // namespace

void check_event_log(BytesView bytes, const TdBody& td, const Expectations& want,
                     tee::Verdict& verdict) {
  const auto read = eventlog::read_event_log(bytes);
  if (!verdict.add("event_log.format", read.has_value(), "an event log",
                   read ? "an event log" : read.error().to_string(), kCcel)) {
    return;
  }
  const auto registers = eventlog::replay(read->log, Alg::kSha384, false);
  if (!verdict.add("event_log.bank", registers.has_value(), "a SHA-384 digest in every event",
                   registers ? "complete" : registers.error().to_string(), kCcel)) {
    return;
  }
  check_registers(*registers, td, verdict);
  check_semantics(read->log, want, verdict);
  verdict.claims()["event_log"] = events_json(*read);
}

}  // namespace coffer::tdx
