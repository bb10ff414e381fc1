#include "cli/measure_tdx.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "cli/kbs_corim.h"
#include "cli/memory_size.h"
#include "tee/eventlog/event_log.h"
#include "tee/eventlog/json_log.h"
#include "tee/tdx/mrtd.h"
#include "tee/tdx/rtmr.h"
#include "tee/tdx/tdvf.h"

namespace coffer::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kUsage = "measure tdx --firmware TDVF.fd [OPTION]...";
constexpr std::string_view kHelp =
    "Prints MRTD and RTMR[0..3] of a TD that boots this firmware and, with --kernel, this kernel\n"
    "directly.\n\n"
    "MRTD depends on the order of the VMM's calls: 'single-pass' is that of upstream KVM and "
    "QEMU,\n"
    "'two-pass' that of older QEMU with Intel's patches; both are printed.\n"
    "RTMR[0] holds the machine's shape: it needs --memory and three --acpi-digest, or a recorded\n"
    "log of such a machine (--rtmr0-log). RTMR[3] is the application's: zero after boot.\n"
    "As JSON also the firmware's sections, and each event that a register is made of.\n\n"
    "example: coffer measure tdx --firmware OVMF.inteltdx.fd --kernel vmlinuz --initrd initrd.img "
    "\\\n"
    "           --append 'console=ttyS0' --memory 2G --output-format json";

struct Settings {
  std::string firmware, kernel, initrd, append, memory, order = "single-pass", format = "text";
  std::string rtmr0_log;
  std::vector<std::string> acpi_digests;
  CorimOptions corim;
  bool separator_in_rtmr0 = false;
  bool no_stub_events = false;
};

std::unexpected<Error> bad(std::string_view option, std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("option '{}': {}", option, why));
}

Result<std::optional<tdx::PlatformShape>> platform_shape(const Settings& settings) {
  if (settings.memory.empty() && settings.acpi_digests.empty()) {
    return std::optional<tdx::PlatformShape>();
  }
  tdx::PlatformShape shape;
  if (settings.memory.empty() || settings.acpi_digests.size() != shape.acpi.size()) {
    return bad("--memory",
               "RTMR[0] needs it together with three --acpi-digest (table loader, "
               "RSDP, tables)");
  }
  COFFER_TRY(shape.memory, parse_memory_size("--memory", settings.memory));
  for (std::size_t i = 0; i < shape.acpi.size(); ++i) {
    const auto digest = from_hex(settings.acpi_digests[i]);
    if (!digest || digest->size() != shape.acpi[i].size()) {
      return bad("--acpi-digest", "want 96 hex digits");
    }
    std::ranges::copy(*digest, shape.acpi[i].begin());
  }
  return std::optional(shape);
}

Result<std::string> recorded_rtmr0(const std::string& path) {
  COFFER_TRY(const std::string text, read_file(path));
  COFFER_TRY(const auto read, eventlog::read_event_log(as_bytes(text)));
  COFFER_TRY(const auto registers, eventlog::replay(read.log, eventlog::Alg::kSha384, false));
  const auto it = registers.find(1);
  if (it == registers.end()) {
    return fail(Code::kInvalidArgument,
                fmt::format("read '{}': it measures nothing into RTMR[0]", path));
  }
  return to_hex(it->second);
}

Json events_json(const std::vector<tdx::MeasuredEvent>& events) {
  Json out = Json::array();
  for (const auto& event : events) {
    out.push_back({{"event", event.what}, {"digest", to_hex(event.digest)}});
  }
  return out;
}

Json sections_json(const std::vector<tdx::TdvfSection>& sections) {
  Json out = Json::array();
  for (const auto& section : sections) {
    out.push_back({{"type", tdx::section_type_name(section.type)},
                   {"data_offset", fmt::format("{:#x}", section.data_offset)},
                   {"raw_size", fmt::format("{:#x}", section.raw_size)},
                   {"memory_address", fmt::format("{:#x}", section.address)},
                   {"memory_size", fmt::format("{:#x}", section.size)},
                   {"attributes", section.attributes},
                   {"extended", section.extended()}});
  }
  return out;
}

Status add_rtmr0(const Settings& settings, BytesView firmware, Json& out) {
  COFFER_TRY(const auto shape, platform_shape(settings));
  if (!shape) return {};
  COFFER_TRY(const auto events, tdx::predict_rtmr0(firmware, *shape, settings.separator_in_rtmr0));
  out["rtmr_0"] = to_hex(tdx::replay_events(events));
  out["events"]["rtmr_0"] = events_json(events);
  return {};
}

Status add_boot(const Settings& settings, BytesView firmware, Json& out) {
  COFFER_TRY(const std::string kernel, read_file(settings.kernel, std::size_t{1} << 30U));
  std::string initrd;
  tdx::DirectBoot boot{.kernel = as_bytes(kernel),
                       .initrd = {},
                       .command_line = settings.append,
                       .separator_in_rtmr0 = settings.separator_in_rtmr0,
                       .stub_measures = !settings.no_stub_events};
  if (!settings.initrd.empty()) {
    COFFER_TRY(initrd, read_file(settings.initrd, std::size_t{4} << 30U));
    boot.initrd = as_bytes(initrd);
  }
  COFFER_TRY(const tdx::BootEvents events, tdx::predict_events(firmware, boot, std::nullopt));
  out["rtmr_1"] = to_hex(tdx::replay_events(events.rtmr1));
  out["rtmr_2"] = to_hex(tdx::replay_events(events.rtmr2));
  out["events"]["rtmr_1"] = events_json(events.rtmr1);
  out["events"]["rtmr_2"] = events_json(events.rtmr2);
  return {};
}

Result<Json> measure(const Settings& settings) {
  COFFER_TRY(const std::string firmware, read_file(settings.firmware));
  const BytesView image = as_bytes(firmware);
  COFFER_TRY(const auto sections, tdx::parse_tdvf(image));
  COFFER_TRY(const auto single, tdx::compute_mrtd(image, tdx::MrtdOrder::kSinglePass));
  COFFER_TRY(const auto two, tdx::compute_mrtd(image, tdx::MrtdOrder::kTwoPass));
  Json out = Json::object();
  out["mr_td"] = to_hex(settings.order == "two-pass" ? two : single);
  out["mr_td_single_pass"] = to_hex(single);
  out["mr_td_two_pass"] = to_hex(two);
  for (int i = 0; i < 3; ++i) out[fmt::format("rtmr_{}", i)] = nullptr;
  out["rtmr_3"] = std::string(2 * single.size(), '0');
  COFFER_TRY_VOID(add_rtmr0(settings, image, out));
  if (!settings.kernel.empty()) COFFER_TRY_VOID(add_boot(settings, image, out));
  if (!settings.rtmr0_log.empty()) {
    COFFER_TRY(out["rtmr_0"], recorded_rtmr0(settings.rtmr0_log));
  }
  out["sections"] = sections_json(sections);
  return out;
}

void print_text(const Json& out) {
  fmt::print("MRTD: {}\n", out["mr_td"].get<std::string>());
  fmt::print("MRTD (single-pass): {}\n", out["mr_td_single_pass"].get<std::string>());
  fmt::print("MRTD (two-pass): {}\n", out["mr_td_two_pass"].get<std::string>());
  for (int i = 0; i < 4; ++i) {
    const auto& value = out[fmt::format("rtmr_{}", i)];
    fmt::print("RTMR[{}]: {}\n", i, value.is_null() ? "unknown" : value.get<std::string>());
  }
}

// By the names that the default policy asks for; RTMRs that could not be computed are left out.
nlohmann::json reference_values(const Json& out) {
  nlohmann::json values = nlohmann::json::object();
  for (const char* name : {"mr_td", "rtmr_1", "rtmr_2"}) {
    if (out[name].is_string()) values[name] = {out[name].get<std::string>()};
  }
  return values;
}

Status check_settings(const Settings& settings) {
  if (settings.firmware.empty()) return bad("--firmware", "is needed");
  if (settings.order != "single-pass" && settings.order != "two-pass") {
    return bad("--mrtd-order", "want single-pass or two-pass");
  }
  if (settings.format != "text" && settings.format != "json" &&
      !is_values_format(settings.format)) {
    return bad("--output-format", "want text, json, reference-values or corim");
  }
  if (!settings.rtmr0_log.empty() && !settings.memory.empty()) {
    return bad("--rtmr0-log", "RTMR[0] is computed from --memory or recorded, not both");
  }
  if (settings.kernel.empty() && !(settings.initrd.empty() && settings.append.empty())) {
    return bad("--kernel", "is needed with --initrd or --append");
  }
  return {};
}

int run(Args args) {
  Settings settings;
  Options options(kUsage, kHelp);
  options
      .value("--firmware,-f", &settings.firmware, "TDVF image (an OVMF built for TDX, or td-shim)")
      .value("--kernel", &settings.kernel, "kernel of a direct boot")
      .value("--initrd", &settings.initrd, "its initrd")
      .value("--append", &settings.append, "its command line")
      .value("--memory", &settings.memory, "memory of the TD, such as 2G")
      .values("--acpi-digest", &settings.acpi_digests,
              "SHA-384 of QEMU's table loader, RSDP, tables (three times)")
      .value("--rtmr0-log", &settings.rtmr0_log,
             "take RTMR[0] from this recorded CCEL (or dstack's JSON)")
      .value("--mrtd-order", &settings.order, "single-pass (default) or two-pass")
      .flag("--separator-in-rtmr0", &settings.separator_in_rtmr0, "as OVMF before 2024 logs it")
      .flag("--no-stub-events", &settings.no_stub_events, "the kernel measures nothing itself")
      .value("--output-format", &settings.format,
             "text (default), json, reference-values or corim");
  declare_corim(options, settings.corim);
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  if (const auto status = check_settings(settings); !status) return report(status.error());
  const auto out = measure(settings);
  if (!out) return report(out.error());
  if (is_values_format(settings.format)) {
    const auto text = format_values(settings.format, reference_values(*out), "coffer measure tdx",
                                    settings.corim);
    if (!text) return report(text.error());
    fmt::print("{}", *text);
  } else if (settings.format == "json") {
    fmt::print("{}\n", out->dump(2));
  } else {
    print_text(*out);
  }
  return kExitOk;
}

}  // namespace

Result<nlohmann::json> tdx_reference_values(const TdxBoot& boot) {
  Settings settings;
  settings.firmware = boot.firmware;
  settings.kernel = boot.kernel;
  settings.initrd = boot.initrd;
  settings.append = boot.append;
  COFFER_TRY(const Json out, measure(settings));
  return reference_values(out);
}

Command measure_tdx() {
  return {.name = "measure tdx", .summary = "predict MRTD and the RTMRs of a TD", .run = run};
}

}  // namespace coffer::cli
