#include "tests/attestation/kbs/running_kbs.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "attestation/kbs/admin_auth.h"
#include "base/fd.h"

namespace coffer::testing {
namespace {

namespace fs = std::filesystem;

const std::string& program() {
  static const std::string kProgram = std::string(COFFER_BIN_DIR) + "/coffer-kbs";
  return kProgram;
}

void run(const std::string& command) { check(std::system(command.c_str()) == 0, command); }

std::string file(const std::string& path) {
  auto text = read_file(path);
  check(text.has_value(), "read " + path);
  return *std::move(text);
}

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::unique_ptr<RunningKbs> RunningKbs::start(const std::string& extra, const std::string& store) {
  std::unique_ptr<RunningKbs> kbs(new RunningKbs);
  kbs->folder_ = (fs::temp_directory_path() / "coffer-kbs-XXXXXX").string();
  check(::mkdtemp(kbs->folder_.data()) != nullptr, "no temporary folder");
  run(program() + " init --dir " + kbs->folder_ + " --socket 127.0.0.1:0" +
      (store.empty() ? "" : " --store '" + store + "'") + " >/dev/null");
  const std::string config = kbs->folder_ + "/coffer-kbs.toml";
  check(write_file(config, file(config) + "\n" + extra).has_value(), "write configuration");
  kbs->launch();
  return kbs;
}

std::unique_ptr<RunningKbs> RunningKbs::replica_of(const RunningKbs& first) {
  std::unique_ptr<RunningKbs> kbs(new RunningKbs);
  kbs->folder_ = (fs::temp_directory_path() / "coffer-kbs-XXXXXX").string();
  check(::mkdtemp(kbs->folder_.data()) != nullptr, "no temporary folder");
  fs::copy(first.folder_, kbs->folder_, fs::copy_options::recursive);
  kbs->launch();
  return kbs;
}

void RunningKbs::launch() {
  int out[2];
  check(::pipe2(out, O_CLOEXEC) == 0, "pipe");
  pid_ = ::fork();
  check(pid_ >= 0, "fork");
  const std::string config = folder_ + "/coffer-kbs.toml";
  if (pid_ == 0) {
    ::dup2(out[1], 1);
    const int log = ::open((folder_ + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(log, 2);
    ::execl(program().c_str(), "coffer-kbs", "serve", "--config", config.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(out[1]);
  const auto read_line = [&] {
    std::string text;
    char c = 0;
    while (::read(out[0], &c, 1) == 1 && c != '\n') text += c;
    return text;
  };
  std::string line = read_line();
  constexpr std::string_view kGrpc = "attestation service on ";
  if (line.starts_with(kGrpc)) {
    grpc_ = line.substr(kGrpc.size());
    line = read_line();
  }
  ::close(out[0]);
  constexpr std::string_view kHead = "listening on ";
  check(line.starts_with(kHead), "coffer-kbs did not start: " + file(folder_ + "/log"));
  url_ = line.substr(kHead.size());
}

RunningKbs::~RunningKbs() {
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  std::error_code error;
  fs::remove_all(folder_, error);
}

void RunningKbs::kill9() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RunningKbs::restart() {
  if (pid_ > 0) kill9();
  launch();
}

std::string RunningKbs::certificate() const { return file(folder_ + "/tls.pem"); }

RunningKbs::Reply RunningKbs::anyone(const std::string& method, const std::string& path,
                                     const std::string& body, const http::Headers& headers) {
  http::Settings settings;
  settings.tls.ca_pem = certificate();
  auto client = http::Client::make(settings);
  check(client.has_value(), "make a client");
  auto reply =
      client->send({.method = method, .url = url_ + path, .headers = headers, .body = body});
  check(reply.has_value(), reply ? "" : reply.error().to_string());
  return {.status = reply->status, .body = reply->body};
}

std::string RunningKbs::admin_token() const {
  const auto key = jose::PrivateKey::from_pem(file(folder_ + "/admin.key"));
  check(key.has_value(), "read admin.key");
  auto token = kbs::make_admin_token(*key, "tester", now());
  check(token.has_value(), "make a token");
  return *std::move(token);
}

std::uint16_t RunningKbs::port() const {
  return static_cast<std::uint16_t>(std::stoi(url_.substr(url_.rfind(':') + 1)));
}

RunningKbs::Reply RunningKbs::admin(const std::string& method, const std::string& path,
                                    const std::string& body) {
  return anyone(method, path, body, {{"Authorization", "Bearer " + admin_token()}});
}

RunningKbs::Reply RunningKbs::set_resource_policy(const std::string& rego) {
  return admin("POST", "/kbs/v0/resource-policy",
               nlohmann::json{{"policy", to_base64url(as_bytes(rego))}}.dump());
}

}  // namespace coffer::testing
