// Sealed secrets on their way into a container: environment, mounted files, and the question to the
// confidential data hub.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "attestation/guest_api/ttrpc_services.h"
#include "attestation/guest_api/unix_server.h"
#include "base/fd.h"
#include "guest-agent/data_hub.h"
#include "guest-agent/sealed_environment.h"
#include "guest-agent/sealed_files.h"
#include "rpc/protos/oci.pb.h"
#include "tests/attestation/guest_api/fake_backend.h"
#include "tests/base/run_task.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

// Opens "sealed.X" to "open(X)", and refuses "sealed.bad".
struct FakeHub {
  std::vector<std::string> asked;

  Unseal unseal() {
    return [this](std::string sealed) { return answer(std::move(sealed)); };
  }
  Task<Result<SecretBytes>> answer(std::string sealed) {
    asked.push_back(sealed);
    if (sealed == "sealed.bad") co_return fail(Code::kUnauthenticated, "the signature is wrong");
    if (sealed == "sealed.nul") co_return SecretBytes(to_bytes(std::string_view("a\0b", 3)));
    if (sealed == "sealed.bytes") co_return SecretBytes(to_bytes("\xff"));
    co_return SecretBytes(to_bytes("open(" + sealed.substr(7) + ")"));
  }
};

class SealedEnvironmentTest : public testing::Test {
 protected:
  Status open(const std::vector<std::string>& variables) {
    grpc::Process process;
    for (const auto& variable : variables) process.add_env(variable);
    return run_task<Status>([&](asio::any_io_executor) -> Task<Status> {
      const Unseal unseal = hub_.unseal();
      co_return co_await environment_.open(process, unseal);
    });
  }

  FakeHub hub_;
  SealedEnvironment environment_;
};

TEST_F(SealedEnvironmentTest, OpensSealedValuesAndNoOthers) {
  ASSERT_TRUE(open(
      {"PATH=/bin", "A=sealed.x", "B=sealed.x", "C=unsealed.x", "sealed.d", "E=", "F=a=sealed.x"}));
  EXPECT_EQ(hub_.asked, std::vector<std::string>{"sealed.x"});
  nlohmann::json process{{"env", {"PATH=/bin", "A=sealed.x", "B=sealed.x", "Z=sealed.other"}}};
  environment_.reveal(process);
  EXPECT_EQ(process["env"],
            (nlohmann::json{"PATH=/bin", "A=open(x)", "B=open(x)", "Z=sealed.other"}));
  environment_.conceal(process);
  EXPECT_EQ(process.dump().find("open"), std::string::npos);
}

TEST_F(SealedEnvironmentTest, LeavesAnEnvironmentWithoutSecretsAlone) {
  ASSERT_TRUE(open({"PATH=/bin"}));
  nlohmann::json process{{"args", {"sh"}}, {"env", {"PATH=/bin"}}};
  const auto before = process;
  environment_.reveal(process);
  environment_.conceal(process);
  EXPECT_EQ(process, before);
}

TEST_F(SealedEnvironmentTest, NamesTheVariableAndTheReasonNeverTheSecret) {
  const auto bad = open({"GOOD=sealed.x", "DB_PASSWORD=sealed.bad"});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code(), Code::kUnauthenticated);
  EXPECT_EQ(bad.error().to_string(),
            "unseal environment variable 'DB_PASSWORD': the signature is wrong");
  EXPECT_EQ(open({"N=sealed.nul"}).error().to_string(),
            "unseal environment variable 'N': the secret holds a NUL byte (mount it as a file)");
  EXPECT_EQ(open({"N=sealed.bytes"}).error().to_string(),
            "unseal environment variable 'N': the secret is not UTF-8 text (mount it as a file)");
}

TEST_F(SealedEnvironmentTest, BoundsHowManyThereAre) {
  std::vector<std::string> variables;
  for (int i = 0; i < 256; ++i) variables.push_back("V=sealed." + std::to_string(i));
  ASSERT_TRUE(open(variables));
  variables.emplace_back("V=sealed.more");
  EXPECT_EQ(open(variables).error().code(), Code::kResourceExhausted);
}

class SealedFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "coffer-sealed-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    shared_ = folder_ / "shared";
    fs::create_directories(volume() / "..2024_01_01");
    fs::create_symlink("..2024_01_01", volume() / "..data");
    outside_ = folder_ / "outside";
    ASSERT_TRUE(write_file(outside_, "sealed.outside"));
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] fs::path volume() const { return shared_ / "ctr-0a1b-secret"; }
  // As kubelet's atomic writer puts a key into a volume.
  void put(const std::string& name, std::string_view text) const {
    ASSERT_TRUE(write_file(volume() / "..2024_01_01" / name, text, 0440));
    fs::create_symlink(fs::path("..data") / name, volume() / name);
  }
  static void add_mount(grpc::Spec& spec, const fs::path& source, const char* destination) {
    auto& mount = *spec.add_mounts();
    mount.set_source(source.native());
    mount.set_destination(destination);
    mount.set_type("bind");
    mount.add_options("rbind");
  }
  Status open(grpc::Spec& spec) {
    return run_task<Status>([&](asio::any_io_executor) -> Task<Status> {
      const Unseal unseal = hub_.unseal();
      co_return co_await open_sealed_files(spec, shared_, plain(), unseal);
    });
  }
  [[nodiscard]] fs::path plain() const { return folder_ / "plain"; }

  fs::path folder_;
  fs::path shared_;
  fs::path outside_;
  FakeHub hub_;
};

TEST_F(SealedFilesTest, MountsThePlaintextOverTheSealedFile) {
  put("password", "sealed.p\n");
  put("user", "alice");
  grpc::Spec spec;
  add_mount(spec, "proc", "/proc");
  add_mount(spec, volume(), "/etc/secret");
  add_mount(spec, "tmpfs", "/etc/other");
  ASSERT_TRUE(open(spec));
  ASSERT_EQ(spec.mounts_size(), 4);
  EXPECT_EQ(spec.mounts(1).destination(), "/etc/secret");
  const auto& over = spec.mounts(2);
  EXPECT_EQ(over.destination(), "/etc/secret/..2024_01_01/password");
  EXPECT_EQ(over.type(), "bind");
  EXPECT_EQ(read_file(over.source()).value(), "open(p\n)");
  EXPECT_EQ(spec.mounts(3).destination(), "/etc/other");
  struct stat info{};
  ASSERT_EQ(::stat(over.source().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0440U);
  // Nothing is written where the host could read it.
  EXPECT_EQ(read_file(volume() / "password").value(), "sealed.p\n");
  EXPECT_EQ(std::distance(fs::recursive_directory_iterator(volume()), {}), 6);
  wipe_files(plain());
  EXPECT_TRUE(fs::is_empty(plain()));
}

TEST_F(SealedFilesTest, ReplacesAMountedFile) {
  ASSERT_TRUE(write_file(shared_ / "ctr-sub", "sealed.s"));
  grpc::Spec spec;
  add_mount(spec, shared_ / "ctr-sub", "/etc/app/key");
  ASSERT_TRUE(open(spec));
  ASSERT_EQ(spec.mounts_size(), 1);
  EXPECT_EQ(spec.mounts(0).destination(), "/etc/app/key");
  EXPECT_EQ(read_file(spec.mounts(0).source()).value(), "open(s)");
}

TEST_F(SealedFilesTest, LooksOnlyWhereSecretsAre) {
  put("password", "sealed.p");
  ASSERT_TRUE(write_file(shared_ / "plain-hosts", "sealed.h"));
  fs::create_directories(shared_ / "folder");
  ASSERT_TRUE(write_file(shared_ / "folder" / "file", "sealed.f"));
  grpc::Spec spec;
  add_mount(spec, shared_ / "plain-hosts", "/etc/hosts");  // kubelet's own
  add_mount(spec, shared_ / "folder", "/data");            // no volume of kubelet's
  add_mount(spec, outside_, "/outside");                   // not from the share
  add_mount(spec, shared_ / "nothing", "/nothing");        // crun will say so
  ASSERT_TRUE(open(spec));
  EXPECT_EQ(spec.mounts_size(), 4);
  EXPECT_TRUE(hub_.asked.empty());
  EXPECT_FALSE(fs::exists(plain()));
}

TEST_F(SealedFilesTest, FollowsNoLinkOutOfTheVolume) {
  fs::create_symlink(outside_, volume() / "absolute");
  fs::create_symlink("../../outside", volume() / "relative");
  ASSERT_EQ(::mkfifo((volume() / "fifo").c_str(), 0600), 0);
  const auto files = find_sealed_files(shared_, volume());
  ASSERT_TRUE(files) << files.error().to_string();
  EXPECT_TRUE(files->empty());
  fs::create_symlink(folder_, shared_ / "up");
  EXPECT_TRUE(find_sealed_files(shared_, shared_ / "up" / "outside")->empty());
}

TEST_F(SealedFilesTest, NamesTheFileAndTheReason) {
  put("password", "sealed.bad");
  grpc::Spec spec;
  add_mount(spec, volume(), "/etc/secret");
  const auto bad = open(spec);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code(), Code::kUnauthenticated);
  EXPECT_EQ(bad.error().to_string(), "unseal file '/etc/secret/password': the signature is wrong");
}

TEST_F(SealedFilesTest, BoundsVolumesAndTexts) {
  put("large", "sealed." + std::string((std::size_t{1} << 20U) - 7, 'x'));
  EXPECT_EQ(find_sealed_files(shared_, volume())->size(), 1U);
  put("larger", "sealed." + std::string((std::size_t{1} << 20U) - 6, 'x'));
  const auto larger = find_sealed_files(shared_, volume());
  ASSERT_FALSE(larger);
  EXPECT_EQ(larger.error().code(), Code::kResourceExhausted);
  EXPECT_NE(larger.error().to_string().find("'larger'"), std::string::npos);
  fs::remove(volume() / "larger");
  for (int i = 1; i < 1024; ++i) ASSERT_TRUE(write_file(volume() / std::to_string(i), "x"));
  EXPECT_TRUE(find_sealed_files(shared_, volume()));
  ASSERT_TRUE(write_file(volume() / "1024", "x"));
  EXPECT_EQ(find_sealed_files(shared_, volume()).error().code(), Code::kResourceExhausted);
}

TEST(DataHub, AsksOverTheSocket) {
  std::string pattern = (fs::temp_directory_path() / "coffer-hub-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  DataHubSettings settings{.socket = fs::path(pattern) / "cdh.sock",
                           .timeout = std::chrono::seconds(50)};
  guest_api::FakeBackend backend;
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    auto nobody = co_await ask_unseal(settings, "sealed.x");
    EXPECT_FALSE(nobody);
    if (!nobody) {
      EXPECT_NE(nobody.error().to_string().find("cdh.sock"), std::string::npos);
    }
    guest_api::UnixSettings served;
    served.socket = settings.socket;
    served.add_services = guest_api::add_data_hub;
    served.authorize = guest_api::allow_all;
    guest_api::UnixServer server(executor, backend, served);
    const Status started = server.start();
    check(started.has_value(), "start the hub");
    auto opened = co_await ask_unseal(settings, "sealed.x");
    EXPECT_TRUE(opened);
    if (opened) {
      EXPECT_EQ(as_text(opened->view()), "opened");
    }
    EXPECT_EQ(backend.asked, "sealed.x");
    backend.error = Error(Code::kNotFound, "no such resource");
    auto refused = co_await ask_unseal(settings, "sealed.y");
    EXPECT_FALSE(refused);
    if (!refused) {
      EXPECT_EQ(refused.error().message(), "no such resource");
    }
    co_await server.close();
  });
  fs::remove_all(pattern);
}

}  // namespace
}  // namespace coffer::agent
