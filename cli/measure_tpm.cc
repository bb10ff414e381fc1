#include "cli/measure_tpm.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/kbs_corim.h"

namespace coffer::cli {
namespace {

constexpr std::string_view kHelp =
    "Prints the PCRs of a VM whose OVMF boots this kernel directly.\n\n"
    "PCR 2 to 6 and 9 are computed. PCR 0, 1 and 7 hold firmware and machine: with "
    "--reference-log\n"
    "they are the replay of a recorded log of such a machine.\n"
    "As reference-values or corim: PCR 4 and 9, as a key broker's default policy wants them.\n\n"
    "example: coffer measure tpm --kernel vmlinuz --initrd initrd.img --append 'console=ttyS0' \\\n"
    "           --memory 2G --reference-log good.log --output-format json";

struct Settings {
  BootFlags boot;
  std::string bank = "sha256", format = "text";
  CorimOptions corim;
};

std::unexpected<Error> bad(std::string_view option, std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("option '{}': {}", option, why));
}

Result<tpm::PcrValues> measure(const Settings& settings) {
  const auto bank = eventlog::alg_from_name(settings.bank);
  if (!bank) return bad("--bank", "want sha1, sha256, sha384 or sha512");
  COFFER_TRY(const BootFiles files, BootFiles::read(settings.boot));
  return tpm::predict_pcrs(files.boot(), *bank, files.reference());
}

Status check_settings(const Settings& settings) {
  const std::string& format = settings.format;
  if (is_values_format(format) && settings.bank != "sha256") {
    return bad("--bank", "reference values are of sha256: no policy reads the others");
  }
  if (is_values_format(format) || format == "text" || format == "json") return {};
  return bad("--output-format", "want text, json, reference-values or corim");
}

Result<std::string> values_text(const Settings& settings) {
  COFFER_TRY(const auto values, tpm_reference_values(settings.boot));
  return format_values(settings.format, values, "coffer measure tpm", settings.corim);
}

int run(Args args) {
  Settings settings;
  Options options("measure tpm --kernel K [OPTION]...", kHelp);
  declare_boot(options, settings.boot);
  options.value("--bank", &settings.bank, "sha256 (default), sha1, sha384, sha512")
      .value("--output-format", &settings.format,
             "text (default), json, reference-values or corim");
  declare_corim(options, settings.corim);
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  if (const auto status = check_settings(settings); !status) return report(status.error());
  if (is_values_format(settings.format)) {
    const auto text = values_text(settings);
    if (!text) return report(text.error());
    fmt::print("{}", *text);
    return kExitOk;
  }
  const auto values = measure(settings);
  if (!values) return report(values.error());
  auto json = nlohmann::ordered_json::object();
  for (const auto& [pcr, value] : *values) {
    if (settings.format == "text") fmt::print("PCR[{}]: {}\n", pcr, to_hex(value));
    json[settings.bank][fmt::to_string(pcr)] = to_hex(value);
  }
  if (settings.format == "json") fmt::print("{}\n", json.dump(2));
  return kExitOk;
}

}  // namespace

Result<nlohmann::json> tpm_reference_values(const BootFlags& boot) {
  COFFER_TRY(const auto values, measure({.boot = boot, .corim = {}}));
  nlohmann::json out = nlohmann::json::object();
  for (const unsigned pcr : {4U, 9U}) {
    const auto at = values.find(pcr);
    if (at != values.end()) out[fmt::format("tpm_pcr{:02}", pcr)] = {to_hex(at->second)};
  }
  return out;
}

Command measure_tpm() {
  return {.name = "measure tpm", .summary = "predict the PCRs of a measured VM", .run = run};
}

}  // namespace coffer::cli
