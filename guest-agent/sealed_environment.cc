#include "guest-agent/sealed_environment.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <spanstream>
#include <string_view>

#include "base/utf8.h"
#include "guest-agent/sealed_files.h"
#include "rpc/protos/oci.pb.h"

namespace coffer::agent {
namespace {

constexpr std::size_t kMaxSealedVariables = 256;

std::string_view value_of(std::string_view variable) {
  const auto equals = variable.find('=');
  return equals == std::string_view::npos ? std::string_view{} : variable.substr(equals + 1);
}

Status check_value(BytesView secret) {
  const auto text = as_text(secret);
  if (text.find('\0') != std::string_view::npos)
    return fail(Code::kInvalidArgument, "the secret holds a NUL byte (mount it as a file)");
  if (!is_utf8(text))
    return fail(Code::kInvalidArgument, "the secret is not UTF-8 text (mount it as a file)");
  return {};
}

Task<Result<SecretBytes>> open_value(const Unseal& unseal, std::string sealed) {
  auto secret = co_await unseal(std::move(sealed));
  if (!secret) co_return secret;
  COFFER_CO_TRY_VOID(check_value(secret->view()));
  co_return secret;
}

}  // namespace

Task<Status> SealedEnvironment::open(const grpc::Process& process, const Unseal& unseal) {
  for (const std::string& variable : process.env()) {
    std::string sealed(value_of(variable));
    if (!looks_sealed(sealed) || secrets_.contains(sealed)) continue;
    const auto what =
        fmt::format("unseal environment variable '{}'", variable.substr(0, variable.find('=')));
    if (secrets_.size() == kMaxSealedVariables)
      co_return fail(Code::kResourceExhausted,
                     fmt::format("{}: more than {} are sealed", what, kMaxSealedVariables));
    auto secret = co_await open_value(unseal, sealed);
    if (!secret) co_return fail(std::move(secret).error().with_context(what));
    secrets_.emplace(std::move(sealed), *std::move(secret));
  }
  co_return Status{};
}

void SealedEnvironment::reveal(nlohmann::json& process) const {
  if (secrets_.empty() || !process.contains("env")) return;
  for (auto& entry : process["env"]) {
    auto& variable = entry.get_ref<std::string&>();
    const auto found = secrets_.find(value_of(variable));
    if (found == secrets_.end()) continue;
    // Made at its full size at once: no smaller buffer with a part of it is left behind.
    std::string revealed;
    const auto name = std::string_view(variable).substr(0, variable.find('=') + 1);
    revealed.reserve(name.size() + found->second.size());
    revealed += name;
    revealed += as_text(found->second.view());
    variable = std::move(revealed);
  }
}

void SealedEnvironment::conceal(nlohmann::json& process) const {
  if (secrets_.empty() || !process.contains("env")) return;
  for (auto& entry : process["env"]) wipe(entry.get_ref<std::string&>());
}

Result<std::string> SealedEnvironment::revealed_text(const nlohmann::json& document,
                                                     nlohmann::json& process) const {
  constexpr std::size_t kMostEscaped = 6;  // \u00XX
  std::string text;
  try {
    text = document.dump();
    if (secrets_.empty()) return text;
    std::size_t most = text.size();
    reveal(process);
    if (process.contains("env"))
      for (const auto& entry : process["env"])
        most += kMostEscaped * entry.get_ref<const std::string&>().size();
    text.assign(most, ' ');
    std::ospanstream out(text);
    out << document;
    conceal(process);
    check(out.good(), "a text is longer than it can be");
    text.resize(out.span().size());
    return text;
  } catch (const nlohmann::json::exception& e) {
    conceal(process);
    wipe(text);
    return fail(Code::kInvalidArgument, fmt::format("write the spec: {}", e.what()));
  }
}

}  // namespace coffer::agent
