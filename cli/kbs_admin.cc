#include "cli/kbs_admin.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>

#include "attestation/kbs/admin_auth.h"
#include "attestation/protocol/messages.h"
#include "attestation/protocol/resource_path.h"
#include "base/fd.h"
#include "base/json.h"
#include "cli/kbs.h"
#include "cli/kbs_corim.h"

namespace coffer::cli {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxFile = std::size_t{8} << 20U;
constexpr std::string_view kPrefix = "/kbs/v0/";

// What every command of an administrator has.
struct Admin {
  BrokerOptions broker = {};
  std::string key_file = {}, name = "admin";
  bool json = false;
  std::vector<std::string> arguments = {};
};

void declare_admin(Options& options, Admin& admin) {
  declare_broker(options, admin.broker);
  options
      .value("--admin-key", &admin.key_file,
             "PEM of the administrator's key, which signs a token of five minutes (else "
             "$KBS_ADMIN_KEY)")
      .value("--admin-name", &admin.name, "who does it, for the records (admin)")
      .flag("--json", &admin.json, "print the broker's answer")
      .positional(&admin.arguments);
}

Result<std::string> token_of(const Admin& admin) {
  const char* from_environment = std::getenv("KBS_ADMIN_KEY");
  std::string file = admin.key_file;
  if (file.empty() && from_environment != nullptr) file = from_environment;
  if (file.empty()) {
    return fail(Code::kInvalidArgument,
                "option '--admin-key': is needed (coffer-kbs init made admin.key)");
  }
  COFFER_TRY(const std::string pem, read_file(file, kMaxFile));
  COFFER_TRY(const auto key, jose::PrivateKey::from_pem(pem));
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
  return kbs::make_admin_token(key, admin.name, now.count());
}

// The body of a 200; anything else is an error with the broker's words.
Result<std::string> ask(const Admin& admin, const std::string& method, const std::string& path,
                        std::string body = {}) {
  COFFER_TRY(const std::string token, token_of(admin));
  COFFER_TRY(auto settings, broker_http(admin.broker));
  COFFER_TRY(auto client, http::Client::make(std::move(settings)));
  std::string url = broker_url(admin.broker);
  while (url.ends_with('/')) url.pop_back();
  url += std::string(kPrefix) + path;
  COFFER_TRY(const auto reply, client.send({.method = method,
                                            .url = url,
                                            .headers = {{"Authorization", "Bearer " + token}},
                                            .body = std::move(body)}));
  if (reply.status == 200) return reply.body;
  const auto error = protocol::parse_error(reply.body);
  return fail(reply.status == 404 ? Code::kNotFound : Code::kPermissionDenied,
              fmt::format("{} {}: {} {}", method, url, reply.status,
                          error ? error->detail : reply.body.substr(0, 200)));
}

// Runs what a command does, with its own options declared by `declare`.
int run_admin(Args args, std::string_view usage, std::string_view help,
              const std::function<void(Options&)>& declare,
              const std::function<Result<std::string>(const Admin&)>& act) {
  Admin admin;
  Options options(usage, help);
  declare_admin(options, admin);
  declare(options);
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  const auto answer = act(admin);
  if (!answer) return report(answer.error());
  if (!answer->empty()) fmt::print("{}\n", admin.json ? *answer : printable(*answer));
  return kExitOk;
}

Result<std::string> resource_path(const std::string& text) {
  std::string_view rest = text;
  if (rest.starts_with("kbs:///")) rest.remove_prefix(7);
  COFFER_TRY(const auto path, protocol::parse_resource_path(rest));
  return "resource/" + path.to_string();
}

int set_resource(Args args) {
  std::string path;
  std::string file;
  return run_admin(
      args, "kbs set-resource --path REPOSITORY/TYPE/TAG --file FILE [OPTION]...",
      "Stores a resource, or replaces it.\n\n"
      "example: coffer kbs set-resource --path default/key/1 --file secret.txt \\\n"
      "           --url https://kbs:8080 --cert-file tls.pem --admin-key admin.key",
      [&](Options& options) {
        options.value("--path", &path, "repository/type/tag")
            .value("--file,--resource-file", &file, "its content");
      },
      [&](const Admin& admin) -> Result<std::string> {
        COFFER_TRY(const std::string target, resource_path(path));
        COFFER_TRY(std::string content, read_file(file, kMaxFile));
        return ask(admin, "POST", target, std::move(content));
      });
}

int delete_resource(Args args) {
  std::string path;
  return run_admin(
      args, "kbs delete-resource --path REPOSITORY/TYPE/TAG [OPTION]...",
      "Deletes a resource.\n\nexample: coffer kbs delete-resource --path default/key/1 "
      "--admin-key admin.key",
      [&](Options& options) { options.value("--path", &path, "repository/type/tag"); },
      [&](const Admin& admin) -> Result<std::string> {
        COFFER_TRY(const std::string target, resource_path(path));
        return ask(admin, "DELETE", target);
      });
}

int set_policy(Args args) {
  std::string type = "resource";
  std::string id = "default";
  std::string file;
  return run_admin(
      args, "kbs set-policy --file POLICY.rego [--type resource|attestation] [OPTION]...",
      "Sets the policy of who gets a resource, or one that appraises evidence.\n\n"
      "example: coffer kbs set-policy --type attestation --file cpu.rego --admin-key admin.key",
      [&](Options& options) {
        options.value("--file,--policy-file", &file, "Rego")
            .value("--type", &type, "resource (default) or attestation")
            .value("--id", &id, "of an attestation policy (default)");
      },
      [&](const Admin& admin) -> Result<std::string> {
        if (type != "resource" && type != "attestation") {
          return fail(Code::kInvalidArgument,
                      fmt::format("option '--type': got '{}', want resource or attestation", type));
        }
        COFFER_TRY(const std::string rego, read_file(file, kMaxFile));
        Json body = {{"policy", to_base64url(as_bytes(rego))}};
        if (type == "attestation") body.update({{"type", "rego"}, {"policy_id", id}});
        return ask(admin, "POST", type + "-policy", body.dump());
      });
}

int set_reference_values(Args args) {
  return run_admin(
      args, "kbs set-reference-values FILE [OPTION]...",
      "Registers reference values: an object of name to value, a list of {name, value,\n"
      "expiration, not_before, source}, a message of Trustee's, or a CoRIM, signed or not.\n"
      "Prints the new revision.\n\n"
      "example: coffer kbs set-reference-values values.json --admin-key admin.key",
      [](Options&) {},
      [](const Admin& admin) -> Result<std::string> {
        if (admin.arguments.size() != 1) {
          return fail(Code::kInvalidArgument, "kbs set-reference-values: want one file");
        }
        COFFER_TRY(std::string content, read_file(admin.arguments.front(), kMaxFile));
        return ask(admin, "POST", "reference-value", std::move(content));
      });
}

std::string text_of(const Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end()) return {};
  return at->is_string() ? at->get<std::string>() : at->dump();
}

std::string value_table(const Json& set) {
  std::string out = fmt::format("revision {}\n", text_of(set, "revision"));
  for (const auto& value : set.value("values", Json::array())) {
    out += fmt::format("{:<32} {:<14} until {}  {}\n", text_of(value, "name"),
                       text_of(value, "validity"), text_of(value, "expiration"),
                       text_of(value, "value"));
  }
  out.pop_back();
  return out;
}

int list_reference_values(Args args) {
  bool history = false;
  std::string diff;
  return run_admin(
      args, "kbs list-reference-values [--history | --diff REVISION] [OPTION]...",
      "Lists reference values with their validity; or the revisions; or what has changed since\n"
      "one of them.\n\nexample: coffer kbs list-reference-values --diff 7 --admin-key admin.key",
      [&](Options& options) {
        options.flag("--history", &history, "the revisions, newest first")
            .value("--diff", &diff, "names that were added, removed, changed since that revision");
      },
      [&](const Admin& admin) -> Result<std::string> {
        std::string path = "reference-values";
        if (history) path += "/history";
        if (!diff.empty()) path += "/diff?from=" + diff;
        COFFER_TRY(const std::string body, ask(admin, "GET", path));
        if (admin.json) return body;
        COFFER_TRY(const Json json, parse_json(body, "reference values"));
        return history || !diff.empty() ? json.dump(1) : value_table(json);
      });
}

int change_reference_values(Args args) {
  std::string action;
  std::string revision;
  return run_admin(
      args, "kbs change-reference-values --action delete|expire|rollback [NAME]... [OPTION]...",
      "Deletes or expires reference values by name, or rolls all of them back to a revision.\n"
      "Prints the new revision.\n\n"
      "example: coffer kbs change-reference-values --action rollback --revision 7",
      [&](Options& options) {
        options.value("--action", &action, "delete, expire or rollback")
            .value("--revision", &revision, "to roll back to");
      },
      [&](const Admin& admin) -> Result<std::string> {
        Json body = {{"names", admin.arguments}};
        if (action == "rollback") {
          COFFER_TRY(const Json number, parse_json(revision, "--revision"));
          body = {{"revision", number}};
        } else if (action != "delete" && action != "expire") {
          return fail(
              Code::kInvalidArgument,
              fmt::format("option '--action': got '{}', want delete, expire or rollback", action));
        }
        return ask(admin, "POST", "reference-values/" + action, body.dump());
      });
}

std::string attestation_table(const Json& list) {
  std::string out;
  for (const auto& line : list) {
    out += fmt::format("{}  {}  {:<6} {:<8} {:<15} {}\n", text_of(line, "id"),
                       text_of(line, "time"), text_of(line, "tee"), text_of(line, "outcome"),
                       text_of(line, "status"), text_of(line, "reason"));
  }
  if (out.empty()) return "no attestations";
  out.pop_back();
  return out;
}

// What the evidence says, by the names that policies see: one line a value.
void claim_lines(const Json& claims, const std::string& prefix, std::string& out) {
  for (const auto& [name, value] : claims.items()) {
    if (value.is_object()) {
      claim_lines(value, prefix + name + ".", out);
    } else if (!value.is_array() && !value.is_null()) {
      out += fmt::format("claim {:<32} {}\n", prefix + name, text_of(claims, name.c_str()));
    }
  }
}

std::string check_line(const Json& check) {
  const bool ok = text_of(check, "ok") == "true";
  const std::string expected = text_of(check, "expected");
  const std::string found = text_of(check, "found");
  std::string said = fmt::format("want {}, got {}", expected, found);
  if (ok) said = expected == found ? found : fmt::format("{}  (want {})", found, expected);
  return fmt::format("{:<5} {:<32} {}\n", ok ? "ok" : "FAIL", text_of(check, "name"), said);
}

// What the evidence has instead of a reference value.
std::string unmatched_of(const Json& value) {
  std::string out;
  for (const auto& claim : value.value("unmatched", Json::array())) {
    out += (out.empty() ? ", and not " : ", ") + claim.dump();
  }
  return out;
}

std::string attestation_report(const Json& record) {
  std::string out =
      fmt::format("attestation {} of {} at {}: {}{}\n", text_of(record, "id"),
                  text_of(record, "tee"), text_of(record, "time"), text_of(record, "outcome"),
                  text_of(record, "emulated") == "true" ? " (emulated)" : "");
  if (!text_of(record, "reason").empty()) out += "reason: " + text_of(record, "reason") + "\n";
  for (const auto& entry : record.value("checks", Json::array())) {
    out += check_line(entry);
  }
  if (const auto claims = record.find("claims"); claims != record.end() && claims->is_object()) {
    claim_lines(*claims, "", out);
  }
  for (const auto& part : record.value("parts", Json::array())) {
    out += fmt::format("{}: {} by policy '{}' {}\n", text_of(part, "name"), text_of(part, "status"),
                       text_of(part, "policy"), text_of(part, "vector"));
    for (const auto& value : part.value("reference_values", Json::array())) {
      out += fmt::format("  reference value {:<28} {} {}{}\n", text_of(value, "name"),
                         text_of(value, "finding"), text_of(value, "value"), unmatched_of(value));
    }
  }
  for (const auto& resource : record.value("resources", Json::array())) {
    out += fmt::format(
        "resource {} at {}: {}\n", text_of(resource, "path"), text_of(resource, "time"),
        text_of(resource, "allowed") == "true" ? "released"
                                               : "denied: " + text_of(resource, "reason"));
  }
  out.pop_back();
  return out;
}

int attestations(Args args) {
  std::string id;
  std::string limit = "50";
  return run_admin(
      args, "kbs attestations [--id ID] [--limit N] [OPTION]...",
      "Lists attestations, newest first; or everything about one of them: each check with what\n"
      "was wanted and found, the reference values that were asked for, the resources.\n\n"
      "example: coffer kbs attestations --id 69266b1c0a1b2c3d4e5f6071 --admin-key admin.key",
      [&](Options& options) {
        options.value("--id", &id, "of one attestation").value("--limit", &limit, "how many (50)");
      },
      [&](const Admin& admin) -> Result<std::string> {
        COFFER_TRY(
            const std::string body,
            ask(admin, "GET", id.empty() ? "attestations?limit=" + limit : "attestations/" + id));
        if (admin.json) return body;
        COFFER_TRY(const Json json, parse_json(body, "attestations"));
        return id.empty() ? attestation_table(json) : attestation_report(json);
      });
}

}  // namespace

std::vector<Command> kbs_admin_commands() {
  std::vector<Command> commands;
  commands.push_back({"kbs set-resource", "store a resource", set_resource});
  commands.push_back({"kbs delete-resource", "delete a resource", delete_resource});
  commands.push_back({"kbs set-policy", "set a resource or attestation policy", set_policy});
  commands.push_back(
      {"kbs set-reference-values", "register reference values", set_reference_values});
  commands.push_back(kbs_pack_reference_values());
  commands.push_back({"kbs list-reference-values", "list reference values and their revisions",
                      list_reference_values});
  commands.push_back({"kbs change-reference-values", "delete, expire or roll back values",
                      change_reference_values});
  commands.push_back(
      {"kbs attestations", "what was attested, and why it was refused", attestations});
  return commands;
}

}  // namespace coffer::cli
