#include "tee/tdx/rtmr.h"

#include <algorithm>

#include "tee/eventlog/boot_events.h"
#include "tee/tdx/td_hob.h"
#include "tee/tdx/tdvf.h"

namespace coffer::tdx {
namespace {

using eventlog::Alg;
constexpr Alg kAlg = Alg::kSha384;

class Recorder {
 public:
  explicit Recorder(std::vector<MeasuredEvent>& events) : events_(events) {}

  Status add(std::string_view what, Result<Bytes> digest) {
    if (!digest) return std::unexpected(std::move(digest).error());
    MeasuredEvent& event = events_.emplace_back();
    event.what = what;
    check(digest->size() == event.digest.size(), "SHA-384 digest size");
    std::ranges::copy(*digest, event.digest.begin());
    return {};
  }

 private:
  std::vector<MeasuredEvent>& events_;
};

Status add_variables(Recorder& rtmr0) {
  using eventlog::EmptyVariable;
  COFFER_TRY_VOID(rtmr0.add("SecureBoot", empty_variable_digest(kAlg, EmptyVariable::kSecureBoot)));
  COFFER_TRY_VOID(rtmr0.add("PK", empty_variable_digest(kAlg, EmptyVariable::kPk)));
  COFFER_TRY_VOID(rtmr0.add("KEK", empty_variable_digest(kAlg, EmptyVariable::kKek)));
  COFFER_TRY_VOID(rtmr0.add("db", empty_variable_digest(kAlg, EmptyVariable::kDb)));
  return rtmr0.add("dbx", empty_variable_digest(kAlg, EmptyVariable::kDbx));
}

Status add_firmware(Recorder& rtmr0, BytesView firmware, std::uint64_t memory) {
  COFFER_TRY(const auto sections, parse_tdvf(firmware));
  COFFER_TRY(const Bytes hob, build_td_hob(sections, memory));
  COFFER_TRY_VOID(rtmr0.add("TD HOB", eventlog::hash(kAlg, hob)));
  const auto cfv = std::ranges::find(sections, TdvfSectionType::kCfv, &TdvfSection::type);
  if (cfv == sections.end()) {
    return fail(Code::kInvalidArgument, "predict RTMR0: the firmware has no CFV section");
  }
  return rtmr0.add("variable store", eventlog::hash(kAlg, cfv->data(firmware)));
}

Status add_acpi(Recorder& rtmr0, const PlatformShape& shape) {
  constexpr std::array<std::string_view, 3> kNames = {"ACPI table loader", "ACPI RSDP",
                                                      "ACPI tables"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    const auto& digest = shape.acpi[i];
    COFFER_TRY_VOID(rtmr0.add(kNames[i], Bytes(digest.begin(), digest.end())));
  }
  return {};
}

Result<std::vector<MeasuredEvent>> predict_rtmr1(const DirectBoot& boot) {
  using eventlog::action_digest;
  std::vector<MeasuredEvent> events;
  Recorder rtmr1(events);
  COFFER_TRY_VOID(rtmr1.add("kernel", eventlog::authenticode(kAlg, boot.kernel)));
  COFFER_TRY_VOID(rtmr1.add("calling", action_digest(kAlg, eventlog::kCallingEfiApplication)));
  if (!boot.separator_in_rtmr0) {
    COFFER_TRY_VOID(rtmr1.add("separator", eventlog::separator_digest(kAlg)));
  }
  COFFER_TRY_VOID(
      rtmr1.add("exit boot services", action_digest(kAlg, eventlog::kExitBootServices)));
  COFFER_TRY_VOID(rtmr1.add("exit boot services done",
                            action_digest(kAlg, eventlog::kExitBootServicesSuccess)));
  return events;
}

Result<std::vector<MeasuredEvent>> predict_rtmr2(const DirectBoot& boot) {
  std::vector<MeasuredEvent> events;
  if (!boot.stub_measures) return events;
  Recorder rtmr2(events);
  COFFER_TRY_VOID(rtmr2.add("command line", eventlog::load_options_digest(
                                                kAlg, boot.command_line, boot.initrd.has_value())));
  if (boot.initrd) COFFER_TRY_VOID(rtmr2.add("initrd", eventlog::hash(kAlg, *boot.initrd)));
  return events;
}

}  // namespace

Result<std::vector<MeasuredEvent>> predict_rtmr0(BytesView firmware, const PlatformShape& shape,
                                                 bool separator_in_rtmr0) {
  std::vector<MeasuredEvent> events;
  Recorder rtmr0(events);
  COFFER_TRY_VOID(add_firmware(rtmr0, firmware, shape.memory));
  COFFER_TRY_VOID(add_variables(rtmr0));
  COFFER_TRY_VOID(rtmr0.add("separator", eventlog::separator_digest(kAlg)));
  COFFER_TRY_VOID(add_acpi(rtmr0, shape));
  COFFER_TRY_VOID(rtmr0.add("BootOrder", eventlog::boot_order_digest(kAlg)));
  COFFER_TRY_VOID(rtmr0.add("Boot0000", eventlog::boot_ui_app_digest(kAlg)));
  if (separator_in_rtmr0) {
    COFFER_TRY_VOID(rtmr0.add("separator", eventlog::separator_digest(kAlg)));
  }
  return events;
}

Result<BootEvents> predict_events(BytesView firmware, const DirectBoot& boot,
                                  const std::optional<PlatformShape>& shape) {
  BootEvents events;
  if (shape) {
    COFFER_TRY(events.rtmr0, predict_rtmr0(firmware, *shape, boot.separator_in_rtmr0));
  }
  COFFER_TRY(events.rtmr1, predict_rtmr1(boot));
  COFFER_TRY(events.rtmr2, predict_rtmr2(boot));
  return events;
}

tee::Digest384 replay_events(const std::vector<MeasuredEvent>& events) {
  tee::Hasher hasher(tee::HashAlgorithm::kSha384);
  tee::Digest384 value{};
  for (const auto& event : events) {
    hasher.update(value).update(event.digest);
    hasher.finish(value);
  }
  return value;
}

}  // namespace coffer::tdx
