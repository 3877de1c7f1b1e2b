"""The words after `basicsr`, one thin file a command."""
