#include "cli/evidence.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/evidence_io.h"
#include "cli/evidence_material.h"

namespace coffer::cli {
namespace {

struct TeeCommands {
  std::string_view tee;
  // The option that only this TEE's evidence has, for when --tee is left out.
  std::string_view evidence_option;
  int (*show)(Args);
  int (*verify)(Args);
};

constexpr std::array kTees{
    TeeCommands{
        .tee = "snp", .evidence_option = "--report", .show = show_snp, .verify = verify_snp},
    TeeCommands{.tee = "tdx", .evidence_option = "--quote", .show = show_tdx, .verify = verify_tdx},
    TeeCommands{.tee = "tpm", .evidence_option = "--pcrs", .show = show_tpm, .verify = verify_tpm},
};

constexpr std::size_t kSnpReportSize = 1184;

// The value of --NAME in `args`, as the option parser would take it.
std::optional<std::string> option_value(Args args, std::string_view name) {
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (args[i] == name && i + 1 < args.size()) return args[i + 1];
    if (args[i].starts_with(name) && args[i].size() > name.size() && args[i][name.size()] == '=') {
      return args[i].substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

bool wants_help(Args args) {
  return std::ranges::any_of(args, [](const auto& a) { return a == "--help" || a == "-h"; });
}

std::string known_tees() {
  std::string out;
  for (const auto& tee : kTees) out += fmt::format("{}{}", out.empty() ? "" : ", ", tee.tee);
  return out;
}

int no_tee(std::string_view command, const std::optional<std::string>& given) {
  const std::string what = given ? fmt::format("TEE '{}': unknown", *given)
                                 : fmt::format("evidence {}: which TEE is not clear", command);
  return report(
      Error(Code::kInvalidArgument, fmt::format("{} (give --tee, one of {})", what, known_tees())));
}

const TeeCommands* find_tee(std::string_view name) {
  const auto* at =
      std::find_if(kTees.begin(), kTees.end(), [&](const auto& tee) { return tee.tee == name; });
  return at == kTees.end() ? nullptr : at;
}

constexpr std::string_view kTpmMagic(
    "\xff"
    "TCG",
    4);
constexpr std::size_t kQuoteHeaderSize = 48;

// The TEE whose evidence these bytes look like: an SNP report is the only one of its size, a TPM's
// begins with a magic, a quote with a version of 3 to 5 and a known kind of key.
const TeeCommands* tee_of(BytesView bytes) {
  if (bytes.size() == kSnpReportSize) return find_tee("snp");
  if (as_text(bytes).starts_with(kTpmMagic)) return find_tee("tpm");
  const bool quote = bytes.size() >= kQuoteHeaderSize && bytes[0] >= 3 && bytes[0] <= 5 &&
                     bytes[1] == 0 && (bytes[2] == 2 || bytes[2] == 3) && bytes[3] == 0;
  return quote ? find_tee("tdx") : nullptr;
}

int help(std::string_view command, std::string_view text) {
  fmt::print(
      "usage: coffer evidence {} --tee TEE ...\n\n{}\n\n"
      "TEE is one of {}; `coffer evidence {} --tee TEE --help` lists its options.\n",
      command, text, known_tees(), command);
  return kExitOk;
}

// Without --tee: looks into the file.
int show_unknown(Args args) {
  bool json = false;
  std::vector<std::string> files;
  Options options("evidence show FILE [--tee TEE] [--json]", "");
  options.flag("--json", &json, "print JSON").positional(&files);
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (files.size() != 1) {
    return report(Error(Code::kInvalidArgument, "evidence show: want one file (see --help)"));
  }
  const auto bytes = read_bytes(files[0]);
  if (!bytes) return report(bytes.error());
  if (const TeeCommands* tee = tee_of(*bytes)) return tee->show(args);
  auto shown = describe_material(*bytes);
  if (!shown) return report(std::move(shown.error()).with_context(fmt::format("'{}'", files[0])));
  print_fields(*shown, json);
  return kExitOk;
}

int run_show(Args args) {
  const auto name = option_value(args, "--tee");
  if (!name && wants_help(args)) {
    return help(
        "show",
        "Prints what a piece of evidence says, without judging it. Without --tee it looks into\n"
        "the file, and then also reads what stands around evidence: certificates (VCEK,\n"
        "VLEK, PCK), revocation lists, certificate tables, Intel's collateral, TDREPORTs,\n"
        "HCL reports and event logs, also in JSON (with the registers that they replay to).\n\n"
        "Example: coffer evidence show report.bin --json");
  }
  if (!name) return show_unknown(args);
  const TeeCommands* tee = find_tee(*name);
  return tee == nullptr ? no_tee("show", name) : tee->show(args);
}

int run_verify(Args args) {
  const auto name = option_value(args, "--tee");
  if (!name && wants_help(args)) {
    return help("verify",
                "Checks evidence against vendor certificates and what you expect; lists every\n"
                "check. Exit 0 verified, 1 not verified, 2 unreadable input.\n\n"
                "Example: coffer evidence verify --tee snp --report report.bin --certs vcek.der");
  }
  const TeeCommands* tee = nullptr;
  if (name) {
    tee = find_tee(*name);
  } else {
    const auto* at = std::find_if(kTees.begin(), kTees.end(), [&](const auto& candidate) {
      return option_value(args, candidate.evidence_option).has_value();
    });
    if (at != kTees.end()) tee = at;
  }
  return tee == nullptr ? no_tee("verify", name) : tee->verify(args);
}

}  // namespace

Command evidence_show() {
  return {
      .name = "evidence show", .summary = "print what a piece of evidence says", .run = run_show};
}

Command evidence_verify() {
  return {.name = "evidence verify",
          .summary = "verify evidence and list every check",
          .run = run_verify};
}

}  // namespace coffer::cli
