"""What lies over the explorer for a moment: questions, forms, errors, help. They ask and answer; the app acts."""
