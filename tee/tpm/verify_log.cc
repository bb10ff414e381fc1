#include <fmt/format.h>

#include <algorithm>

#include "base/byte_reader.h"
#include "tee/tpm/ima.h"
#include "tee/tpm/verify_parts.h"

namespace coffer::tpm {
namespace {

using eventlog::Alg;

constexpr std::string_view kLogSpec = "TCG PC Client Platform Firmware Profile rev. 1.06, 10";
constexpr std::string_view kStubSpec = "Linux, drivers/firmware/efi/libstub/efi-stub-helper.c";
constexpr std::string_view kImaSpec = "Linux, Documentation/security/IMA-templates.rst";
// taggedEventID of the kernel's EFI stub.
constexpr std::uint32_t kTagInitrd = 0x8f3b22ec;
constexpr std::uint32_t kTagLoadOptions = 0x8f3b22ed;
// Of attestation/evidence/runtime_log.h: what a guest measured after its boot.
constexpr std::uint32_t kTagAael = 0x4141454c;
constexpr std::uint32_t kTagExtended = 0x434f4646;
constexpr unsigned kBootManagerPcr = 4;
constexpr unsigned kStubPcr = 9;

void check_replay(const eventlog::Registers& registers, const PcrValues& values,
                  tee::Verdict& verdict) {
  for (const auto& [pcr, value] : registers) {
    const auto it = values.find(pcr);
    const std::string name = fmt::format("event_log.pcr_{}", pcr);
    if (it == values.end()) {
      verdict.add_waived(name, to_hex(value), "this PCR was not quoted");
    } else {
      verdict.add_equal(name, to_hex(it->second), to_hex(value), kLogSpec);
    }
  }
}

bool has_tag(const eventlog::Event& event, std::uint32_t tag) {
  ByteReader reader(event.data, "tagged event");
  const auto found = reader.u32_le();
  return event.type == eventlog::kEvEventTag && found && *found == tag;
}

bool is_of_run_time(const eventlog::Event& event) {
  return has_tag(event, kTagAael) || has_tag(event, kTagExtended);
}

// The values as the boot left them, which is what IMA aggregated when the kernel started: without
// the events at the log's end that came later.
PcrValues values_after_boot(const eventlog::EventLog& log, const PcrValues& values, Alg bank) {
  eventlog::EventLog boot = log;
  std::set<unsigned> later;
  while (!boot.events.empty() && is_of_run_time(boot.events.back())) {
    later.insert(boot.events.back().index);
    boot.events.pop_back();
  }
  PcrValues out = values;
  const auto registers = eventlog::replay(boot, bank);
  if (!registers) return out;
  for (const unsigned pcr : later) {
    const auto it = registers->find(pcr);
    out[pcr] = it != registers->end() ? it->second : Bytes(eventlog::alg_size(bank).value_or(0));
  }
  return out;
}

// PCRs that were extended, with no event to show for it (17 to 22 start with ones).
void check_unaccounted(const eventlog::Registers& registers, const PcrValues& values,
                       const PcrValues& after_boot, Alg bank, tee::Verdict& verdict) {
  for (const auto& [pcr, value] : values) {
    const bool untouched = std::ranges::all_of(value, [&](auto b) { return b == value.front(); }) &&
                           (value.front() == 0 || value.front() == 0xff);
    if (registers.contains(pcr) || untouched) continue;
    const std::string name = fmt::format("event_log.pcr_{}", pcr);
    if (pcr == kImaPcr && bank == Alg::kSha256 && is_ima_boot_aggregate(after_boot)) {
      verdict.add(name, true, to_hex(value), "IMA's boot aggregate of PCR 0 to 9", kImaSpec);
    } else {
      verdict.add(name, false, to_hex(value), "no event", kLogSpec);
    }
  }
}

// The digests of the events that a predicate picks, in the order of the log. Who may write the log
// may call any event anything; but a wanted digest that is in a log that replays was extended.
template <typename Pick>
std::string digests_of(const eventlog::EventLog& log, unsigned pcr, Alg bank, Pick pick) {
  std::string out;
  for (const auto& event : log.events) {
    if (event.index != pcr || !pick(event)) continue;
    out += fmt::format("{}{}", out.empty() ? "" : ", ", to_hex(event.digest(bank)));
  }
  return out.empty() ? "no such event" : out;
}

void check_boot(const eventlog::EventLog& log, const BootDigests& boot, Alg bank,
                tee::Verdict& verdict) {
  const auto is_tag = [](std::uint32_t tag) {
    return [tag](const eventlog::Event& event) { return has_tag(event, tag); };
  };
  const auto is_application = [](const eventlog::Event& event) {
    return event.type == eventlog::kEvEfiBootServicesApplication;
  };
  verdict.add_equal("boot.kernel", to_hex(boot.kernel),
                    digests_of(log, kBootManagerPcr, bank, is_application), kLogSpec);
  verdict.add_equal("boot.command_line", to_hex(boot.command_line),
                    digests_of(log, kStubPcr, bank, is_tag(kTagLoadOptions)), kStubSpec);
  verdict.add_equal("boot.initrd", boot.initrd ? to_hex(*boot.initrd) : "no such event",
                    digests_of(log, kStubPcr, bank, is_tag(kTagInitrd)), kStubSpec);
}

}  // namespace

void check_log(BytesView bytes, const PcrValues& values, const Expectations& want,
               tee::Verdict& verdict) {
  const auto log = eventlog::parse_event_log(bytes);
  if (!verdict.add("event_log.format", log.has_value(), "a TCG event log",
                   log ? "a TCG event log" : log.error().to_string(), kLogSpec)) {
    return;
  }
  const auto registers = eventlog::replay(*log, want.bank);
  if (!verdict.add("event_log.bank", registers.has_value(),
                   fmt::format("a {} digest in every event", eventlog::alg_name(want.bank)),
                   registers ? "complete" : registers.error().to_string(), kLogSpec)) {
    return;
  }
  check_replay(*registers, values, verdict);
  check_unaccounted(*registers, values, values_after_boot(*log, values, want.bank), want.bank,
                    verdict);
  if (want.boot) check_boot(*log, *want.boot, want.bank, verdict);
  const auto problems = eventlog::anomalies(*log, want.bank);
  verdict.add("event_log.semantics", problems.empty(), "one separator a PCR, honest data",
              problems.empty() ? "as expected" : fmt::format("{}", fmt::join(problems, "; ")),
              kLogSpec);
}

}  // namespace coffer::tpm
