#include "cli/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/check_host.h"
#include "shim/config/load.h"

namespace coffer::cli {
namespace {

void print_text(const std::vector<Finding>& findings) {
  for (const auto& finding : findings) {
    fmt::print("{}  {:<13} {}\n", state_name(finding.state), finding.name, finding.detail);
    if (!finding.advice.empty()) fmt::print("      {:<13} -> {}\n", "", finding.advice);
  }
}

void print_json(const std::vector<Finding>& findings, bool ok) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& finding : findings) {
    list.push_back({{"name", finding.name},
                    {"state", state_name(finding.state)},
                    {"detail", finding.detail},
                    {"advice", finding.advice}});
  }
  const nlohmann::json document = {{"ok", ok}, {"checks", list}};
  fmt::print("{}\n", document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

int run_check(Args args) {
  std::string file;
  bool json = false;
  Options options(
      "check [--config FILE] [--json]",
      "Says whether this host can run pods of a class, and what to do where it cannot.\n"
      "Exit 0 when nothing fails, 1 when something does, 2 when the configuration "
      "cannot be read.\n\nExample: coffer check --config "
      "/opt/kata/share/defaults/kata-containers/configuration-qemu.toml");
  options.value("--config,-c", &file,
                "the class's configuration; else the one the shim would find");
  options.flag("--json", &json, "print JSON");
  if (auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;

  shim::ConfigSources sources;
  sources.option_path = file;
  const auto loaded = shim::load_config(sources);
  if (!loaded) return report(loaded.error());
  std::vector<Finding> findings = {
      {"configuration", Finding::State::kPass, loaded->config.file.native(), ""}};
  if (auto status = shim::validate(loaded->config); !status) {
    findings[0].state = Finding::State::kFail;
    findings[0].detail = status.error().message();
  }
  for (const auto& warning : loaded->warnings) {
    findings.push_back({"configuration", Finding::State::kNote, warning, ""});
  }
  const auto& hypervisor = loaded->config.hypervisor;
  for (auto& finding : judge_host(hypervisor, look_at_host(hypervisor))) {
    findings.push_back(std::move(finding));
  }
  const bool ok = std::ranges::none_of(
      findings, [](const Finding& finding) { return finding.state == Finding::State::kFail; });
  json ? print_json(findings, ok) : print_text(findings);
  return ok ? kExitOk : kExitNegative;
}

}  // namespace

Command check_command() {
  return {"check", "say whether this host can run pods, and what to do if not", run_check};
}

}  // namespace coffer::cli
