#include "cli/measure_tpm.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/direct_boot.h"

namespace coffer::cli {
namespace {

constexpr std::string_view kHelp =
    "Prints the PCRs of a VM whose OVMF boots this kernel directly.\n\n"
    "PCR 2 to 6 and 9 are computed. PCR 0, 1 and 7 hold firmware and machine: with "
    "--reference-log\n"
    "they are the replay of a recorded log of such a machine.\n\n"
    "example: coffer measure tpm --kernel vmlinuz --initrd initrd.img --append 'console=ttyS0' \\\n"
    "           --memory 2G --reference-log good.log --output-format json";

struct Settings {
  BootFlags boot;
  std::string bank = "sha256", format = "text";
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

int run(Args args) {
  Settings settings;
  Options options("measure tpm --kernel K [OPTION]...", kHelp);
  declare_boot(options, settings.boot);
  options.value("--bank", &settings.bank, "sha256 (default), sha1, sha384, sha512")
      .value("--output-format", &settings.format, "text (default) or json");
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  if (settings.format != "text" && settings.format != "json") {
    return report(bad("--output-format", "want text or json").error());
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

Command measure_tpm() {
  return {.name = "measure tpm", .summary = "predict the PCRs of a measured VM", .run = run};
}

}  // namespace coffer::cli
