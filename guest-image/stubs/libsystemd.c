/* libsystemd.so.0 for a guest that has no systemd.
 *
 * Debian's crun is linked to libsystemd for its systemd cgroup manager, which the agent never asks
 * for. The library and what it needs (libgcrypt, libzstd, liblzma, liblz4, libgpg-error) are 3.4 MB
 * that each pod would unpack and each run of crun would load. Here every function that crun names
 * is there, with the version that it names it by (libsystemd.map), and answers what libsystemd
 * answers where no systemd runs. A function that crun names and we do not have ends `coffer
 * guest-image build`.
 */
#include <errno.h>

/* sd_notify(3): "If $NOTIFY_SOCKET was not set, 0 is returned." It never is, here. */
int sd_notify(void) { return 0; }
int sd_notify_barrier(void) { return 0; }

/* sd_journal_send(3): without a journal, 0. */
int sd_journal_send_with_location(void) { return 0; }

/* sd-bus(3): there is no bus. */
#define NO_BUS(name) \
  int name(void) { return -EOPNOTSUPP; }
NO_BUS(sd_bus_call)
NO_BUS(sd_bus_default_system)
NO_BUS(sd_bus_default_user)
NO_BUS(sd_bus_match_signal_async)
NO_BUS(sd_bus_message_append)
NO_BUS(sd_bus_message_append_strv)
NO_BUS(sd_bus_message_close_container)
NO_BUS(sd_bus_message_new_method_call)
NO_BUS(sd_bus_message_open_container)
NO_BUS(sd_bus_message_read)
NO_BUS(sd_bus_process)
NO_BUS(sd_bus_wait)

int sd_bus_error_get_errno(void) { return EOPNOTSUPP; }
void sd_bus_error_free(void) {}

/* Both give back a null pointer. */
void* sd_bus_message_unref(void) { return 0; }
void* sd_bus_unref(void) { return 0; }
