#include "cli/evidence.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string>

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

// For show: an SNP report is the only evidence of its size.
const TeeCommands* guess_by_file(Args args) {
  for (const auto& arg : args) {
    std::error_code error;
    if (std::filesystem::file_size(arg, error) == kSnpReportSize && !error) return find_tee("snp");
  }
  return find_tee("tdx");
}

int help(std::string_view command, std::string_view text) {
  fmt::print(
      "usage: coffer evidence {} --tee TEE ...\n\n{}\n\n"
      "TEE is one of {}; `coffer evidence {} --tee TEE --help` lists its options.\n",
      command, text, known_tees(), command);
  return kExitOk;
}

int run_show(Args args) {
  const auto name = option_value(args, "--tee");
  if (!name && wants_help(args)) {
    return help("show",
                "Prints what a piece of evidence says, without judging it.\n\n"
                "Example: coffer evidence show report.bin --json");
  }
  const TeeCommands* tee = name ? find_tee(*name) : guess_by_file(args);
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
